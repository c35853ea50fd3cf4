package deploy

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"copse/config/build"
	"copse/config/certs/tlstest"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"
)

const (
	overlay = "../../deploy/kubernetes-tls"
	chart   = "../../deploy/helm/copse"
)

// withTLS is the set of the overlay: kustomize patches it in this way.
func withTLS(t *testing.T, m manifests) apps.StatefulSet {
	t.Helper()
	var k struct {
		APIVersion, Kind string
		Resources        []string
		Patches          []struct{ Path string }
	}
	decode(t, filepath.Join(overlay, "kustomization.yaml"), &k)
	if !slices.Equal(k.Resources, []string{"../kubernetes", "networkpolicy.yaml"}) || len(k.Patches) != 1 {
		t.Fatalf("%+v", k)
	}
	var typed apps.StatefulSet
	decode(t, filepath.Join(overlay, k.Patches[0].Path), &typed) // no field that there isn't
	text, err := os.ReadFile(filepath.Join(overlay, k.Patches[0].Path))
	if err != nil {
		t.Fatal(err)
	}
	patch, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := json.Marshal(m.set)
	if err != nil {
		t.Fatal(err)
	}
	if whole, err = strategicpatch.StrategicMergePatch(whole, patch, apps.StatefulSet{}); err != nil {
		t.Fatal(err)
	}
	var set apps.StatefulSet
	if err := json.Unmarshal(whole, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestTheOverlayServesTLS(t *testing.T) {
	m := readManifests(t)
	m.set = withTLS(t, m)
	env := podEnvironment(m, 0)
	for name, value := range imageDefaults(t) {
		env[name] = value
	}
	pod := m.set.Spec.Template.Spec
	mount := slices.IndexFunc(pod.Containers[0].VolumeMounts, func(v core.VolumeMount) bool { return v.Name == "tls" && v.ReadOnly })
	if mount < 0 || !slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == "tls" && v.Secret.SecretName == "copse-tls" }) {
		t.Fatal("the certificate isn't mounted")
	}
	at := pod.Containers[0].VolumeMounts[mount].MountPath
	if env["COPSE_CERT_FILE"] != at+"/"+core.TLSCertKey || env["COPSE_KEY_FILE"] != at+"/"+core.TLSPrivateKeyKey {
		t.Errorf("the certificate is in %s, and looked for in %s and %s", at, env["COPSE_CERT_FILE"], env["COPSE_KEY_FILE"])
	}
	env["COPSE_CERT_FILE"], env["COPSE_KEY_FILE"] = tlstest.New(t).WriteFiles(t.TempDir(), "copse")
	env["COPSE_CLUSTER_SECRET_FILE"] = clusterSecret(t, m, env["COPSE_CLUSTER_SECRET_FILE"])
	shown := askCopse(t, env, pod.Containers[0].Args)
	for setting, want := range map[string]string{
		"listen-client-urls": "https://0.0.0.0:2379", "advertise-client-urls": "https://copse-0.copse-members:2379", "listen-metrics-urls": "http://0.0.0.0:2381",
	} {
		if shown[setting] != want {
			t.Errorf("%s is %q, want %q", setting, shown[setting], want)
		}
	}
}

func TestOnlyMembersReachTheMembersPort(t *testing.T) {
	m := readManifests(t)
	var p network.NetworkPolicy
	decode(t, filepath.Join(overlay, "networkpolicy.yaml"), &p)
	labels := m.set.Spec.Template.Labels
	if !reflect.DeepEqual(p.Spec.PodSelector.MatchLabels, labels) || !slices.Equal(p.Spec.PolicyTypes, []network.PolicyType{network.PolicyTypeIngress}) {
		t.Errorf("%+v", p.Spec)
	}
	open := map[string][]network.NetworkPolicyPeer{}
	for _, rule := range p.Spec.Ingress {
		for _, port := range rule.Ports {
			open[port.Port.StrVal] = rule.From
		}
	}
	for _, port := range m.set.Spec.Template.Spec.Containers[0].Ports {
		from, has := open[port.Name]
		members := len(from) == 1 && from[0].PodSelector != nil && reflect.DeepEqual(from[0].PodSelector.MatchLabels, labels) && from[0].NamespaceSelector == nil
		if !has || (port.Name == "peer") != members || port.Name != "peer" && from != nil {
			t.Errorf("%s is open to %+v", port.Name, from)
		}
	}
}

// TestTheChartMakesTheManifests renders the chart, which needs nothing that text/template
// hasn't.
func TestTheChartMakesTheManifests(t *testing.T) {
	want := readManifests(t)
	want.set.Spec.Template.Spec.Containers[0].Image += ":" + build.Version
	got, p := render(t, nil)
	if !reflect.DeepEqual(sorted(got.set), sorted(want.set)) || !reflect.DeepEqual(got.services, want.services) || !reflect.DeepEqual(got.disruption, want.disruption) {
		t.Errorf("the chart makes\n%+v\nwant\n%+v", got, want)
	}
	var wantPolicy network.NetworkPolicy
	decode(t, filepath.Join(overlay, "networkpolicy.yaml"), &wantPolicy)
	if p == nil || !reflect.DeepEqual(*p, wantPolicy) {
		t.Errorf("the chart makes\n%+v\nwant\n%+v", p, wantPolicy)
	}
	got, p = render(t, map[string]any{"tlsSecret": "copse-tls", "networkPolicy": false})
	if set := withTLS(t, want); !reflect.DeepEqual(sorted(got.set), sorted(set)) || p != nil {
		t.Errorf("with TLS the chart makes\n%+v\nwant\n%+v", got.set, set)
	}
	got, _ = render(t, map[string]any{"ordinals": []any{0, 1, 2, 3, 4}, "settings": map[string]any{"COPSE_EVENT_HISTORY": "5000"}, "image": map[string]any{"repository": "here/copse", "tag": "1"}})
	env := podEnvironment(got, 4)
	if *got.set.Spec.Replicas != 5 || strings.Count(env["COPSE_INITIAL_CLUSTER"], "=https://") != 5 || env["COPSE_EVENT_HISTORY"] != "5000" || got.set.Spec.Template.Spec.Containers[0].Image != "here/copse:1" {
		t.Errorf("five members: %+v", got.set.Spec)
	}
}

// render makes the chart's objects, with other values than the usual ones.
func render(t *testing.T, other map[string]any) (manifests, *network.NetworkPolicy) {
	t.Helper()
	var about struct{ APIVersion, Name, Description, Type, Version, AppVersion string }
	var values map[string]any
	decode(t, filepath.Join(chart, "Chart.yaml"), &about)
	decode(t, filepath.Join(chart, "values.yaml"), &values)
	for name, value := range other {
		if _, known := values[name]; !known {
			t.Fatalf("the chart has no value %s", name)
		}
		values[name] = value
	}
	files, err := filepath.Glob(filepath.Join(chart, "templates/*"))
	if err != nil {
		t.Fatal(err)
	}
	m := manifests{services: map[string]core.Service{}}
	var p *network.NetworkPolicy
	for _, file := range files {
		parsed, err := template.New(filepath.Base(file)).Option("missingkey=error").ParseFiles(file)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := parsed.Execute(&text, map[string]any{"Values": values, "Chart": about, "Release": map[string]string{"Name": "copse"}}); err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split(text.String(), "\n---\n") {
			switch {
			case strings.TrimSpace(document) == "":
			case strings.Contains(document, "kind: NetworkPolicy"):
				p = new(network.NetworkPolicy)
				if err := yaml.UnmarshalStrict([]byte(document), p); err != nil {
					t.Fatal(err)
				}
			default:
				m.add(t, file, []byte(document))
			}
		}
	}
	return m, p
}

// sorted is a set whose lists of what has names are in their order.
func sorted(s apps.StatefulSet) apps.StatefulSet {
	s = *s.DeepCopy()
	pod := &s.Spec.Template.Spec
	c := &pod.Containers[0]
	slices.SortFunc(c.Env, func(a, b core.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.VolumeMounts, func(a, b core.VolumeMount) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(pod.Volumes, func(a, b core.Volume) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// TestOneVersion finds whatever names a version of copse's.
func TestOneVersion(t *testing.T) {
	said := regexp.MustCompile(`(?m)(?:copse:|newTag: |^version: |^appVersion: )(\d+\.\d+\.\d+)`)
	files := []string{"../../README.md", "../../docs/OPERATING.md"}
	for _, pattern := range []string{"*.yaml", "*/*.yaml", "*/*/*.yaml"} {
		found, err := filepath.Glob("../../deploy/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	count := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range said.FindAllStringSubmatch(string(text), -1) {
			if count++; version[1] != build.Version {
				t.Errorf("%s has %s, not %s", file, version[0], build.Version)
			}
		}
	}
	if count < 8 {
		t.Errorf("%d versions are named", count)
	}
}
