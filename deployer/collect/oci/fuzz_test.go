package oci

import (
	"bytes"
	"testing"

	"github.com/metaml/metaml/deployer/collect"
)

// FuzzManifest: whatever a registry says is the artifact, what is taken from it can be written again, and is the same.
func FuzzManifest(f *testing.F) {
	a := &artifact{is: ArtifactType}
	layers, err := encode([]collect.Output{{
		Trial: 3, Kind: collect.Latest, Round: 1, Attempt: 2, Number: 7, Size: 10,
		Digest: "sha256:" + string(bytes.Repeat([]byte("a"), 64)),
	}})
	if err != nil {
		f.Fatal(err)
	}
	seed, err := a.manifest(layers)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(seed))
	f.Add(bytes.ReplaceAll(seed, []byte("sha256:aaaa"), nil))
	f.Add([]byte(`{"config":{"mediaType":"application/vnd.metaml.outputs.v1+json"},"layers":[{"annotations":{}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		layers, err := a.parse(data)
		if err != nil {
			return
		}
		all := decode(layers)
		for _, o := range all {
			if err := collect.CheckOutput(o); err != nil {
				t.Fatal(err)
			}
		}
		layers, err = encode(all)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := a.manifest(layers)
		if err != nil {
			t.Fatal(err)
		}
		layers, err = a.parse(raw)
		if again := decode(layers); err != nil || len(again) != len(all) {
			t.Fatalf("%+v became %+v: %v", all, again, err)
		}
	})
}
