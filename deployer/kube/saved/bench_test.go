package saved_test

import (
	"testing"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/saved"
)

// BenchmarkPack packs a run of a thousand trials, each with 20 reports and a few lines of output.
func BenchmarkPack(b *testing.B) {
	f, spec := aRun(b, 1000, 20, 300)
	size := 0
	for b.Loop() {
		data, err := packer(f, spec).Pack()
		if err != nil {
			b.Fatal(err)
		}
		size = len(data)
	}
	b.ReportMetric(float64(size)/1024, "KiB")
}

// BenchmarkReadPacked reads it.
func BenchmarkReadPacked(b *testing.B) {
	f, spec := aRun(b, 1000, 20, 300)
	data, err := packer(f, spec).Pack()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := saved.Unpack(data, spec, folder.Run(b.TempDir())); err != nil {
			b.Fatal(err)
		}
	}
}
