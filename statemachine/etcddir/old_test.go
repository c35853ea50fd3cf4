package etcddir

import (
	"errors"
	"testing"
	"testing/fstest"
)

func TestAPostOfEtcdBefore22IsRefused(t *testing.T) {
	for version, want := range map[string]error{"": ErrOld, "2.1.0": ErrOld, "2.2.0": nil, "2.3.0": nil, "3.4.0": nil} {
		var sum uint32
		index := uint64(0)
		wal := frame(nil, sumRecord, nil, &sum)
		wal = frame(wal, metadataRecord, appendVarintField(appendVarintField(nil, 1, 1), 2, 2), &sum)
		add := func(method, path, value string) {
			index++
			request := appendTextField(appendTextField(appendTextField(nil, 2, []byte(method)), 3, []byte(path)), 4, []byte(value))
			wal = frame(wal, entryRecord, appendTextField(appendVarintField(appendVarintField(appendVarintField(nil, 1, 0), 2, 1), 3, index), 4, request), &sum)
		}
		add("POST", "/1/queue", "v") // the version comes a few seconds after the cluster
		if version != "" {
			add("PUT", versionKey, version)
		}
		_, err := Read([]Source{{Dir: fstest.MapFS{fuzzWAL: {Data: wal}}}}, Options{})
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("version %q: %v, want %v", version, err, want)
		}
	}
}
