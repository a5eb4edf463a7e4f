package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// Metrics maps a metric's name to its value. NaN and the infinities survive JSON, as the strings "nan", "inf" and "-inf".
type Metrics map[string]float64

// MarshalJSON writes the values that JSON has no numbers for as strings.
func (m Metrics) MarshalJSON() ([]byte, error) {
	plain := make(map[string]any, len(m))
	for name, v := range m {
		switch {
		case math.IsNaN(v):
			plain[name] = "nan"
		case math.IsInf(v, 1):
			plain[name] = "inf"
		case math.IsInf(v, -1):
			plain[name] = "-inf"
		default:
			plain[name] = v
		}
	}
	return json.Marshal(plain)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Metrics) UnmarshalJSON(data []byte) error {
	var plain map[string]any
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&plain); err != nil {
		return err
	}
	out := make(Metrics, len(plain))
	for name, v := range plain {
		switch v := v.(type) {
		case float64:
			out[name] = v
		case string:
			switch v {
			case "nan":
				out[name] = math.NaN()
			case "inf":
				out[name] = math.Inf(1)
			case "-inf":
				out[name] = math.Inf(-1)
			default:
				return fmt.Errorf("metric %q: %q is no number", name, v)
			}
		default:
			return fmt.Errorf("metric %q: no number", name)
		}
	}
	*m = out
	return nil
}

// Objective is the metric that decides which trial is best.
type Objective struct {
	Mode   string `json:"mode,omitempty"` // "max" or "min"; empty means by the metric's name
	Metric string `json:"metric,omitempty"`
}

// wellKnown lists the metrics whose direction is known, in the order in which they are looked for (docs/rules.md §4).
var wellKnown = []Objective{
	{"max", "accuracy"},
	{"max", "auc"},
	{"max", "f1"},
	{"max", "r2"},
	{"max", "score"},
	{"min", "loss"},
	{"min", "error"},
	{"min", "mse"},
	{"min", "mae"},
}

// ParseObjective reads "[max:|min:]METRIC".
func ParseObjective(s string) (Objective, error) {
	mode, metric, found := strings.Cut(s, ":")
	if !found {
		mode, metric = "", s
	}
	if metric == "" || (found && mode != "max" && mode != "min") {
		return Objective{}, fmt.Errorf("objective %q is not [max:|min:]METRIC", s)
	}
	return Objective{Mode: mode, Metric: metric}, nil
}

// Direction gives "max" or "min": as asked for, else by the metric's name (its last word: "val_loss" is minimised), else "max".
func (o Objective) Direction() string {
	if o.Mode != "" {
		return o.Mode
	}
	for _, w := range wellKnown {
		if w.Metric == o.Metric || strings.HasSuffix(o.Metric, "_"+w.Metric) || strings.HasSuffix(o.Metric, "/"+w.Metric) {
			return w.Mode
		}
	}
	return "max"
}

// Better reports whether a is better than b. NaN is never better than anything, and anything is better than NaN.
func (o Objective) Better(a, b float64) bool {
	if math.IsNaN(a) {
		return false
	}
	if math.IsNaN(b) {
		return true
	}
	if o.Direction() == "min" {
		return a < b
	}
	return a > b
}
