package engine_test

import (
	"testing"

	"github.com/metaml/metaml/deployer/run"
)

// TestWhatCanBeEndedDoesNotForbidForks uses each library at top level, and again in forks of what is left.
func TestWhatCanBeEndedDoesNotForbidForks(t *testing.T) {
	for name, source := range map[string]string{
		"tqdm": `
from tqdm import tqdm
def work(): return sum(tqdm(range(4)))
`,
		"tqdm in a notebook": `
from tqdm.auto import trange
def work(): return sum(trange(4))
`,
		"joblib": `
from joblib import Parallel, delayed
def work(): return sum(Parallel(n_jobs=2)(delayed(abs)(-i) for i in range(4)))
`,
		"OpenMP": `
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
def work():
    x = np.arange(400).reshape(-1, 1)
    return 6 * HistGradientBoostingClassifier(max_iter=3).fit(x, x[:, 0] > 200).score(x, x[:, 0] > 200)
`,
		"KMeans": `
import numpy as np
from sklearn.cluster import KMeans
def work(): return len(KMeans(6, n_init=1).fit(np.random.rand(5000, 2)).cluster_centers_)
`,
		"a process pool": `
from multiprocessing import Pool
def work():
    global p
    with Pool(2) as p: return sum(p.map(abs, range(4)))
`,
		"locks": `
import multiprocessing
def work():
    multiprocessing.get_context("spawn").Lock()
    return 6
`,
		"a thread that ends": `
import threading, time
def work():
    threading.Thread(target=time.sleep, args=(0.05,)).start()
    return 6
`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l := b.run(b.spec(3), "import os\nloader = os.getpid()\n"+source+`
first = work()
def train(): return {"first": first, "again": work(), "forked": os.getppid() == loader}
`, nil)
			if l.State.Phase != run.Succeeded || l.State.Loaded == nil || !l.State.Loaded.Fork {
				t.Fatalf("%+v\n%s", l.State.Loaded, b.describe(l))
			}
			for _, trial := range l.State.Trials {
				if m := trial.Metrics; m["first"] != 6 || m["again"] != 6 || m["forked"] != 1 {
					t.Errorf("trial %d: %v", trial.Index, m)
				}
			}
		})
	}
}
