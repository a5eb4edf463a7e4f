package run_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/usererror"
)

func TestDirectionOfAName(t *testing.T) {
	for want, names := range map[string]string{
		run.Min: `
			one_minus_auc 1-auc 1-Accuracy 1_minus_f1 val_one_minus_f1 rmse rmsle logloss log_loss logLoss nll mape
			perplexity wer cer error_rate word_error_rate cost brier brier_score cross_entropy val_rmse
			validation_0-logloss valLoss train/loss loss losses mse mae mean_squared_error max_error val_loss_epoch
			binary_crossentropy dice_loss iou_loss NLLLoss MSELoss fpr false_positive_rate failure_rate false_negatives
			neg_log_likelihood negative_log_likelihood negative_reward loss_per_token bits_per_byte latency latency_ms
			p_latency time train_time fit_time eval_runtime time_to_accuracy wall_time duration epoch_seconds FID
			davies_bouldin_score test-rmse-mean`,
		run.Max: `
			acc accuracy val_acc valAcc sparse_categorical_accuracy Accuracy accuracy/val validation_1-auc
			one_minus_error top5_acc acc1 auc AUC roc_auc auc_roc ROC-AUC f1 F1Score macro_f1 f1_macro r2 R2 R²
			precision precision@5 recall recall_at_5 iou mIoU meanIoU bleu bleu4 rouge rougeL map mAP mAP50
			metrics/mAP50-95(B) ndcg ndcg@10 mcc kappa score mean_test_score my_score balanced_accuracy
			neg_mean_squared_error neg_log_loss log_likelihood explained_variance average_precision episode_return
			reward_mean success_rate win_rate true_positive_rate exact_match pass@1 psnr silhouette_score throughput`,
		"": `
			risk_score anomaly_score novelty_score non_error anti_accuracy not_correct_accuracy value x found ok lr
			learning_rate epoch step loss_weight loss_scale accuracy_gap accuracy_std rmse-std std_test_score
			survival_time uptime rate n variance entropy divergence dropout gain parameters memory feature_count Zeit`,
	} {
		for name := range strings.FieldsSeq(names) {
			t.Run(name, func(t *testing.T) {
				if got := run.Direction(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			})
		}
	}
}

func FuzzDirection(f *testing.F) {
	for _, name := range []string{"val_loss", "mAP50(B)", "neg_", "aB1", "²", "\xff", "per", "top_5_acc"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		direction := run.Direction(name)
		o, err := run.ParseObjective("max:" + name)
		if name != "" && (err != nil || o.Direction() != run.Max || o.Metric != name) {
			t.Errorf("max:%q is read as %v, %v", name, o, err)
		}
		if _, err := run.ParseObjective(name); err == nil && direction == "" && !strings.Contains(name, ":") {
			t.Errorf("%q has no direction and is taken", name)
		}
	})
}

func TestObjectiveOfSeveral(t *testing.T) {
	for names, want := range map[string]string{
		"val_loss val_acc":          "max:val_acc",
		"val_loss accuracy":         "min:val_loss",
		"acc time":                  "max:acc",
		"loss val_time":             "min:loss",
		"test_auc train_auc":        "max:test_auc",
		"train_auc auc":             "max:auc",
		"train_accuracy val_loss":   "min:val_loss",
		"test_loss val_loss":        "min:val_loss",
		"loss rmse":                 "min:rmse",
		"rmse r2":                   "max:r2",
		"precision recall accuracy": "max:accuracy",
		"zeta rmse":                 "min:rmse",
		"loss epochs":               "min:loss",
	} {
		t.Run(names, func(t *testing.T) {
			s := state(map[string]float64{}, nil)
			s.Trials[0].Metrics, s.Trials[0].Returned = run.Metrics{}, strings.Fields(names)
			for name := range strings.FieldsSeq(names) {
				s.Trials[0].Metrics[name] = 1
			}
			o, err := s.Objective()
			if got := o.Mode + ":" + o.Metric; err != nil || got != want {
				t.Errorf("of %s the objective is %s (%v), want %s", names, got, err, want)
			}
		})
	}
}

func TestBestTrial(t *testing.T) {
	nan := math.NaN()
	for name, test := range map[string]struct {
		trials []map[string]float64 // nil: it failed
		chosen string
		want   int
		err    string
	}{
		"less of an error is better":        {trials: rows("rmse", 56.4, 70.4), want: 0},
		"more of a score is better":         {trials: rows("acc", 56.4, 70.4), want: 1},
		"as chosen":                         {trials: rows("rmse", 56.4, 70.4), chosen: "maximize:rmse", want: 1},
		"NaN is never best":                 {trials: rows("rmse", nan, 70.4), want: 1},
		"the only one that succeeded":       {trials: []map[string]float64{nil, {"value": nan}, nil}, want: 1},
		"the only one, without a metric":    {trials: []map[string]float64{{}}, want: 0},
		"the only one, whatever was chosen": {trials: rows("rmse", 1), chosen: "max:typo", want: 0},
		"a number has no direction": {
			trials: rows("value", 1, 2),
			err: "the name `value` does not say whether more or less of it is better, so no trial of fit-1 is called " +
				"the " +
				"best: --objective min:value or max:value",
		},
		"a name that a shell would cut": {
			trials: rows("gain (€)", 1, 2),
			err: "the name `gain (€)` does not say whether more or less of it is better, so no trial of fit-1 is " +
				"called " +
				"the best: --objective 'min:gain (€)' or 'max:gain (€)'",
		},
		"an empty name": {
			trials: []map[string]float64{{"": 1, "a": 1}, {"": 2, "a": 2}},
			err: "the name `a` does not say whether more or less of it is better, so no trial of fit-1 is called the " +
				"best: --objective min:a or max:a",
		},
		"nothing but an empty name": {
			trials: rows("", 1, 2),
			err:    "no trial of fit-1 has a metric, so none is the best",
		},
		"names that are in no table": {
			trials: []map[string]float64{{"b": 1, "a": 1}, {"a": 2}},
			err: "the names `a`, `b` do not say whether more or less of them is better, so no trial of fit-1 is " +
				"called " +
				"the best: --objective min:a or max:a",
		},
		"a metric that no trial has": {
			trials: rows("accuracy", 1, 2), chosen: "max:accuracz",
			err: "--objective accuracz: the trials of fit-1 have no such metric; did you mean accuracy?",
		},
		"a metric that is like none of these": {
			trials: rows("accuracy", 1, 2), chosen: "loss",
			err: "--objective loss: the trials of fit-1 have no such metric, only accuracy",
		},
		"no metric at all": {
			trials: []map[string]float64{{}, {}},
			err:    "no trial of fit-1 has a metric, so none is the best",
		},
		"no number": {
			trials: rows("loss", nan, nan),
			err:    "no trial of fit-1 that did not fail has a number for loss, so none is the best",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := state(nil, test.trials)
			if test.chosen != "" {
				o, err := run.ParseObjective(test.chosen)
				if err != nil {
					t.Fatal(err)
				}
				s.Asked = o
			}
			got, err := s.Best()
			var user *usererror.Error
			switch {
			case test.err != "" && (!errors.As(err, &user) || user.Text != test.err):
				t.Errorf("got %v\nwant %s", err, test.err)
			case test.err == "" && (err != nil || got != test.want):
				t.Errorf("trial %d (%v), want %d", got, err, test.want)
			}
		})
	}
}

// What was only reported on the way decides where nothing was returned, never in the place of what was.
func TestWhatIsReturnedGoesBeforeWhatIsReported(t *testing.T) {
	s := state(nil, []map[string]float64{{"profit": 1, "train_loss": 1}, {"profit": 2, "train_loss": 2}})
	for i := range s.Trials {
		s.Trials[i].Returned = []string{"profit"}
	}
	if o, err := s.Objective(); err == nil || !strings.Contains(err.Error(), "the name `profit` does not say") {
		t.Errorf("the objective is %v (%v)", o, err)
	}
	for i := range s.Trials {
		s.Trials[i].Returned = nil
	}
	if o, err := s.Objective(); err != nil || o.Metric != "train_loss" {
		t.Errorf("the objective is %v (%v)", o, err)
	}
}

func TestAnObjectiveIsReadOrRefused(t *testing.T) {
	for text, want := range map[string]run.Objective{
		"rmse": {Mode: run.Min, Metric: "rmse"}, "max:rmse": {Mode: run.Max, Metric: "rmse"},
		"minimize:x":   {Mode: run.Min, Metric: "x"},
		"maximise:a:b": {Mode: run.Max, Metric: "a:b"},
	} {
		t.Run(text, func(t *testing.T) {
			if got, err := run.ParseObjective(text); err != nil || got != want {
				t.Errorf("%s is %v (%v), want %v", text, got, err, want)
			}
		})
	}
	for text, want := range map[string]string{
		"":       `takes [max:|min:]METRIC, not ""`,
		"max:":   `takes [max:|min:]METRIC, not "max:"`,
		"most:x": `takes [max:|min:]METRIC, not "most:x"`,
		"typo": "takes min:typo or max:typo, since the name `typo` does not say whether more or less of it is " +
			"better",
		"accuracz": "takes min:accuracz or max:accuracz, since the name `accuracz` does not say whether more or less " +
			"of it is better; did you mean accuracy?",
	} {
		t.Run(text, func(t *testing.T) {
			if _, err := run.ParseObjective(text); err == nil || err.Error() != want {
				t.Errorf("%s: %v\nwant %s", text, err, want)
			}
		})
	}
}

// rows are trials that returned one metric each.
func rows(metric string, values ...float64) []map[string]float64 {
	var list []map[string]float64
	for _, v := range values {
		list = append(list, map[string]float64{metric: v})
	}
	return list
}

// state is a run that is over: trials that returned these metrics, and those that are nil failed.
func state(one map[string]float64, trials []map[string]float64) *run.State {
	if one != nil {
		trials = append(trials, one)
	}
	s := run.NewState(run.Spec{Name: "fit-1", Completions: len(trials), Parallelism: 1})
	for i, metrics := range trials {
		phase := run.Succeeded
		if metrics == nil {
			phase = run.Failed
		}
		s.Apply(run.Event{Type: run.EventTrialEnded, Trial: &i, Attempt: 1, State: phase, Metrics: metrics})
	}
	s.Apply(run.Event{Type: run.EventEnded, State: s.Outcome()})
	return s
}
