package slicer

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/metaml/metaml/converter/session"
)

// fifty is a session as a day of work leaves it: fifty cells, a thousand lines, cells run again, plots and tables
// between.
func fifty() *session.Document {
	var cells []string
	cells = append(cells,
		"%matplotlib inline\nimport numpy as np\nimport pandas as pd\nimport matplotlib.pyplot as plt\nfrom "+
			"sklearn.model_selection import train_test_split")
	for i := range 16 {
		cells = append(cells,
			fmt.Sprintf("df%d = pd.read_csv('data%d.csv')\ndf%d['ratio'] = df%d['a'] / df%d['b']\ndf%d = "+
				"df%d.dropna()\ndf%d.head()", i, i, i, i, i, i, i, i),
			fmt.Sprintf("plt.figure(figsize=(10, 4))\nfor i, col in enumerate(df%d.columns):\n    plt.subplot(2, 5, "+
				"i + 1)\n    plt.hist(df%d[col], bins=30)\n    plt.title(f'{col}: "+
				"{df%d[col].mean():.2f}')\nplt.tight_layout()\nplt.show()", i, i, i),
			fmt.Sprintf("def prepare%d(frame, scale=1.0):\n    \"\"\"Scales and splits.\"\"\"\n    out = "+
				"frame.copy()\n    for col in out.columns:\n        if out[col].dtype == 'float64':\n            "+
				"out[col] = (out[col] - out[col].mean()) / (out[col].std() + 1e-9) * scale\n    return out[[c "+
				"for c in out.columns if c != 'y']].values, out['y'].values\n\nclass Model%d:\n    def "+
				"__init__(self, size, rate=0.1):\n        self.w = np.zeros(size)\n        self.rate = "+
				"rate\n        self.history = []\n\n    def step(self, x, y):\n        p = 1 / (1 + "+
				"np.exp(-x @ self.w))\n        g = x.T @ (p - y) / len(y)\n        self.w -= "+
				"self.rate * g\n        self.history.append(float(np.abs(p - y).mean()))\n   "+
				"     return self.history[-1]\n\nX%d, y%d = "+
				"prepare%d(df%d)", i, i, i, i, i, i))
	}
	var uses []string
	for i := range 16 {
		uses = append(uses,
			fmt.Sprintf("    m%d = Model%d(X%d.shape[1], learning_rate)\n    for _ in range(epochs):\n        "+
				"m%d.step(X%d, y%d)", i, i, i, i, i, i))
	}
	cells = append(cells, "%%train --parallelism 4\ndef train_model(learning_rate, epochs=10):\n"+strings.Join(uses,
		"\n")+"\n    return {'loss': m0.history[-1]}")
	return live(strings.Join(cells, "\n---\n"))
}

func BenchmarkFiftyCells(b *testing.B) {
	doc := fifty()
	for b.Loop() {
		if _, err := Of(context.Background(), doc, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
