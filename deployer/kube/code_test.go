package kube

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/test/packed"
)

// cut gives a program in so many parts, as the API server lists them: the tenth before the second.
func cut(program []byte, n int) []corev1.ConfigMap {
	size := (len(program) + n - 1) / n
	var parts []corev1.ConfigMap
	for i, piece := range slices.Collect(slices.Chunk(program, size)) {
		parts = append(parts, corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: manifest.ProgramName("fit-1", i)},
			BinaryData: map[string][]byte{pod.ProgramPart(i): piece},
		})
	}
	slices.SortFunc(parts, func(a, b corev1.ConfigMap) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return parts
}

// Of a program that is kept in the cluster the code comes here, and nothing else.
func TestTheCodeOfARunComesFromTheCluster(t *testing.T) {
	files := map[string]string{
		"code/main.py": "x = 1\n", "code/with/x.pickle": "value", "include/data.csv": "1,2\n", "expected.json": "{}",
	}
	inImage := map[string]string{"expected.json": "{}"}
	for _, c := range []struct {
		name  string
		parts []corev1.ConfigMap
		want  map[string]string
	}{
		{"one part", cut(packed.Files(t, files), 1), map[string]string{
			"code/main.py": "x = 1\n", "code/with/x.pickle": "value",
		}},
		{"twelve parts", cut(packed.Files(t, files), 12), map[string]string{
			"code/main.py": "x = 1\n", "code/with/x.pickle": "value",
		}},
		{"the image has it", cut(packed.Files(t, inImage), 1), map[string]string{}},
		{"the run is gone", nil, map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := folder.In(t.TempDir(), "fit-1")
			for range 2 { // as two who want it at once have it
				if err := unpackCode(t.Context(), c.parts, f); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]string{}
			_ = filepath.WalkDir(f.Program(), func(at string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				name, _ := filepath.Rel(f.Program(), at)
				data, err := os.ReadFile(at)
				got[name] = string(data)
				return err
			})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if left, err := filepath.Glob(filepath.Join(f.Parent(), ".new-*")); err != nil || len(left) > 0 {
				t.Errorf("%q are left: %v", left, err)
			}
		})
	}
}

func TestCodeThatIsDamagedIsRefused(t *testing.T) {
	f := folder.In(t.TempDir(), "fit-1")
	parts := cut(packed.Files(t, map[string]string{"code/main.py": "x = 1\n"}), 12)
	if err := unpackCode(t.Context(), parts[1:], f); err == nil {
		t.Error("a program that lacks a part was unpacked")
	}
	if _, err := os.Lstat(f.Code()); err == nil {
		t.Error("there is code of it")
	}
}
