package listen_test

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"copse/httpfront/listen"
)

func TestAllAddressesOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	list, err := listen.Open("clients", "some-flag", []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}, {Scheme: "https", Host: "localhost:0"}})
	if err != nil {
		t.Fatal(err)
	}
	urls := list.URLs()
	if len(urls) != 2 || !strings.HasPrefix(urls[0], "http://127.0.0.1:") || !strings.HasPrefix(urls[1], "https://127.0.0.1:") {
		t.Errorf("URLs %q", urls)
	}
	free := list[0].Addr().String()
	if err := list.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = listen.Open("clients", "some-flag", []url.URL{{Host: free}, {Host: taken.Addr().String()}})
	if err == nil || !strings.Contains(err.Error(), "--some-flag sets the address") {
		t.Errorf("an address that is taken: %v", err)
	}
	again, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatalf("the first address has been kept: %v", err)
	}
	again.Close()
}

func TestTwoURLsMayShareAnAddress(t *testing.T) {
	list, err := listen.Open("clients", "some-flag", []url.URL{{Scheme: "https", Host: "127.0.0.1:0"}, {Scheme: "http", Host: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	want := []string{"http://" + list[0].Addr().String(), "https://" + list[0].Addr().String()}
	if len(list) != 1 || !list[0].Plain || !list[0].Secure || !slices.Equal(list.URLs(), want) {
		t.Errorf("%+v, URLs %q", list, list.URLs())
	}
}
