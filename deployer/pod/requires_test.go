package pod_test

import (
	"maps"
	"testing"

	"github.com/metaml/metaml/deployer/pod"
)

func TestWhatAnImageMustHave(t *testing.T) {
	r := pod.NewRequires("3.11", map[string]string{
		"": "", "metaml": "0.1.0", "numpy": "1.26.4", "scikit-learn": "1.5.0", "local": "",
	}, map[string]string{"os": "", "metaml": "metaml", "sklearn": "scikit-learn", "numpy": "numpy"}, false)
	image := func(python string, changes map[string]*string) pod.Installed {
		i := pod.Installed{Python: python, Packages: map[string]*string{
			"numpy": new("1.26.4"), "scikit-learn": new("1.5.0"), "local": new("7"),
		}}
		maps.Copy(i.Packages, changes)
		return i
	}
	for _, c := range []struct {
		name             string
		strict           bool
		image            pod.Installed
		refused, differs string
	}{
		{"all", false, image("3.11", nil), "", ""},
		{"another Python", false, image("3.12", nil), "the image has Python 3.12 in place of 3.11", ""},
		{
			"packages are missing", false,
			image("3.11", map[string]*string{"numpy": nil, "scikit-learn": nil, "local": nil}),
			"the image lacks local, numpy 1.26.4 and scikit-learn 1.5.0", "",
		},
		{
			"other versions", false,
			image("3.11", map[string]*string{"numpy": new("2.0"), "scikit-learn": new("1.6")}),
			"", "the image has numpy 2.0 in place of 1.26.4 and scikit-learn 1.6 in place of 1.5.0",
		},
		{
			"another package with the same module", false,
			pod.Installed{
				Python: "3.11", Packages: map[string]*string{"numpy": new("1.26.4"), "local": new("")},
				Modules: map[string]bool{"sklearn": true},
			},
			"", "the image has another package in place of scikit-learn 1.5.0",
		},
		{
			"everything, strictly", true,
			image("3.10", map[string]*string{"numpy": new("2.0"), "scikit-learn": nil}),
			"the image has Python 3.10 in place of 3.11; it lacks scikit-learn 1.5.0; it has numpy 2.0 in place of " +
				"1.26.4", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.Strict = c.strict
			if refused, differs := r.Compare(c.image); refused != c.refused || differs != c.differs {
				t.Errorf("refused: %q, differs: %q", refused, differs)
			}
		})
	}
}

func FuzzParseRequires(f *testing.F) {
	f.Add([]byte(`{"python": "3.11", "packages": {"numpy": "1.26.4"}, "strict": true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := pod.ParseRequires(data)
		if err != nil {
			return
		}
		if refused, _ := r.Compare(pod.Installed{}); (refused == "") != (r.Python == "" && len(r.Packages) == 0) {
			t.Errorf("an empty image fits %q: %q", data, refused)
		}
	})
}
