package image

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/image/resolve"
)

func TestWhichWheelsShareALayer(t *testing.T) {
	wheels := func(megabytes ...int64) (all []resolve.Wheel) {
		for _, n := range megabytes {
			all = append(all, resolve.Wheel{Size: n << 20})
		}
		return all
	}
	for _, c := range []struct {
		name   string
		wheels []resolve.Wheel
		want   [][]int
	}{
		{"none", nil, [][]int{nil}},
		{"small ones share one, large ones have one each", wheels(1, 5, 4, 800), [][]int{{0, 2}, {1}, {3}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, groups(c.wheels)); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("not more layers than an image may have", func(t *testing.T) {
		var many []int64
		for n := range int64(100) {
			many = append(many, 5+n)
		}
		got := groups(wheels(many...))
		if len(got) != 1+mostAlone || len(got[0]) != 100-mostAlone || got[0][0] != 0 {
			t.Errorf("%d layers, of which the first has %v", len(got), got[0])
		}
	})
}
