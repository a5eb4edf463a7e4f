package run

import (
	"slices"
	"strings"
	"unicode"
)

// The directions of a metric.
const (
	Max = "max"
	Min = "min"
)

// A family is a group of metrics with one direction, in the order in which they are preferred as a run's objective.
type family struct {
	mode  string
	rank  int // of several metrics, one of a lower rank is the objective
	words string
	weak  bool // the words decide only where nothing else in the name does
}

// families is the one table of directions (docs/reference/rules.md §4). A word is written as [words] gives it, words
// that belong together with a plus. What is in it is unambiguous in the field; a name that is not has no direction.
var families = []family{
	{mode: Max, rank: rankScore, words: `
		accuracy acc bacc
		auc auroc rocauc roc+auc prauc auprc aucpr pr+auc average+precision ap map mean+average+precision
		f1 f2 fbeta f+beta fscore f+score f+measure r2 rsquared r+squared explained+variance
		mcc matthews matthews+corrcoef kappa qwk
		iou miou jaccard dice ndcg dcg mrr hits hit success win pass exact+match
		bleu sacrebleu rouge rougel rougelsum meteor chrf cider bertscore psnr ssim
		precision recall sensitivity specificity tpr tnr true+positive true+negative ppv npv
		pearson pearsonr spearman spearmanr concordance cindex silhouette calinski+harabasz
		log+likelihood loglikelihood loglik likelihood elbo reward return returns fitness`},
	{mode: Max, rank: rankScore, weak: true, words: `score`},
	{mode: Min, rank: rankError, words: `
		error err errors rmse rmsle mse msle mae mape smape wape wmape mase mspe rmspe medae nrmse nmse sse
		wer cer eer fpr fnr false+positive false+negative false+positives false+negatives failure misclassification
		logloss mlogloss log+loss nll perplexity ppl bpb bpc bpd bits+per+byte bits+per+dim bits+per+character
		cross+entropy crossentropy bce xent brier ece crps deviance fid lpips davies+bouldin
		inertia aic bic regret`},
	{mode: Min, rank: rankLoss, words: `loss losses cost costs`},
	{mode: Max, rank: rankResource, words: `throughput`},
	{mode: Min, rank: rankResource, words: `latency`},
	{mode: Min, rank: rankResource, weak: true, words: `time runtime duration elapsed second seconds`},
}

// The ranks: how good it is goes before how wrong, that before what the training minimised, and that before what it
// took.
const (
	rankScore = iota
	rankError
	rankLoss
	rankResource
)

// known is families by phrase.
var known = func() map[string]phrase {
	m := map[string]phrase{}
	order := 0
	for _, f := range families {
		for words := range strings.FieldsSeq(f.words) {
			m[words] = phrase{family: f, order: order}
			order++
		}
	}
	return m
}()

type phrase struct {
	family
	order int // place in the table
}

// maxName bounds the names that are read, in bytes: a program may call a metric anything.
const maxName = 256

// maxPhrase is the most words of one phrase of the table.
const maxPhrase = 3

// stages are the words for the data that a metric was measured on, with their rank: what was held out goes before what
// was trained on.
var stages = map[string]int{
	"val": 0, "valid": 0, "validation": 0, "dev": 0, "eval": 0, "evaluation": 0, "holdout": 0, "heldout": 0, "cv": 0,
	"oof":  0,
	"test": 1, "testing": 1, "train": stageTrain, "training": stageTrain, "fit": stageTrain,
}

const (
	stageNone  = 2 // the name says nothing about it
	stageTrain = 3
)

// qualifiers say how a metric was taken and change nothing about its direction.
var qualifiers = wordSet(`
	mean avg average median min max total sum overall global macro micro weighted samples binary multiclass
	categorical sparse best final last current running ema smoothed moving smooth epoch step batch iter iteration
	fold at top rate score pct percent percentage value metric metrics roc pr curve ovr ovo wall cpu gpu run
	inference predict prediction s ms us sec secs`)

// spreads say how far values differ, which has no direction, whatever they are values of.
var spreads = wordSet(`std stdev stddev sd var variance gap delta diff difference drop change stderr sem`)

// denials say that it is not, or the contrary of, what the other words say: "non_error", "anti_accuracy".
var denials = wordSet(`no non not anti without`)

// dangers are what a score can be of without more of it being better.
var dangers = wordSet(`
	risk anomaly outlier novelty fraud toxicity penalty surprise uncertainty distance complexity difficulty`)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		set[w] = true
	}
	return set
}

// trait is what a metric's name says.
type trait struct {
	mode  string // "" is no direction
	rank  int
	stage int
	order int
}

// traitOf reads a name. Its direction is that of the last phrase of the table in it, if after that comes nothing but
// qualifiers: "mean_squared_error" and "val_loss_epoch" have one, "accuracy_gap" and "loss_weight" have none.
func traitOf(name string) trait {
	if len(name) > maxName {
		return trait{stage: stageNone}
	}
	var rest []string
	stage := -1
	for _, w := range words(name) {
		if n, ok := stages[w]; ok {
			if stage < 0 || n < stage {
				stage = n
			}
			continue
		}
		// "loss_per_token" is a loss, "time_to_accuracy" a time
		if w == "to" || w == "per" && !slices.Contains(rest, "bits") {
			break
		}
		rest = append(rest, w)
	}
	if stage < 0 {
		stage = stageNone
	}
	rest, negated := turned(name, rest)
	p, ok := decisive(rest)
	if !ok {
		return trait{stage: stage}
	}
	t := trait{mode: p.mode, rank: p.rank, stage: stage, order: p.order}
	if negated {
		t.mode = opposite(t.mode)
	}
	return t
}

// turned takes off the words that turn a metric round: "neg_mean_squared_error", as scikit-learn names what it
// maximises, and "one_minus_auc" or "1-auc". A one elsewhere is a number: "validation_1-auc" is XGBoost's for its
// second set.
func turned(name string, rest []string) ([]string, bool) {
	if len(rest) > 2 && (rest[0] == "one" || rest[0] == "1") && rest[1] == "minus" {
		return rest[2:], true
	}
	if len(rest) < 2 {
		return rest, false
	}
	if slices.Contains([]string{"neg", "negative", "minus"}, rest[0]) || strings.HasPrefix(name, "1-") ||
		strings.HasPrefix(name, "1 - ") {
		return rest[1:], true
	}
	return rest, false
}

// decisive finds the phrase of the table that gives a name its direction.
func decisive(name []string) (phrase, bool) {
	if slices.ContainsFunc(name, func(w string) bool { return spreads[w] }) && !slices.Contains(name, "explained") {
		return phrase{}, false
	}
	if slices.ContainsFunc(name, func(w string) bool { return denials[w] }) {
		return phrase{}, false
	}
	for end := len(name); end > 0; end-- {
		for length := min(maxPhrase, end); length > 0; length-- {
			if p, ok := known[strings.Join(name[end-length:end], "+")]; ok && !p.weak {
				return p, true
			}
		}
		if !isQualifier(name[end-1]) {
			break
		}
	}
	return weak(name)
}

// weak finds a word such as "score" or "time" that decides where nothing else does. A time is one only if the name says
// nothing else: "fit_time" is, "survival_time" is not.
func weak(name []string) (phrase, bool) {
	for end := len(name); end > 0; end-- {
		p, ok := known[name[end-1]]
		switch {
		case ok && p.mode == Max:
			return p, !slices.ContainsFunc(name, func(w string) bool { return dangers[w] })
		case ok:
			others := func(w string) bool { return !isQualifier(w) && known[w].rank != rankResource }
			return p, !slices.ContainsFunc(name, others)
		case !isQualifier(name[end-1]):
			return phrase{}, false
		}
	}
	return phrase{}, false
}

// isQualifier reports whether a word changes nothing: also a number and a single letter ("recall_at_5", "mAP50(B)").
func isQualifier(w string) bool {
	return qualifiers[w] || len(w) == 1 || strings.Trim(w, "0123456789") == ""
}

func opposite(mode string) string {
	if mode == Max {
		return Min
	}
	return Max
}

// words cuts a metric's name into its words, in lower case: at everything that is no letter or digit, where a small
// letter or a digit is followed by a capital, and before digits, unless the table has the word as a whole (f1, mIoU).
func words(name string) []string {
	var list []string
	name = strings.ReplaceAll(name, "²", "2")
	for _, part := range strings.FieldsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		list = append(list, wordsOf(part)...)
	}
	return list
}

func wordsOf(part string) []string {
	lower := strings.ToLower(part)
	if _, ok := known[lower]; ok {
		return []string{lower}
	}
	runes := []rune(part)
	for i := 1; i < len(runes); i++ {
		small := unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])
		next := i+1 < len(runes) && unicode.IsLower(runes[i+1])
		if unicode.IsUpper(runes[i]) && (small || unicode.IsUpper(runes[i-1]) && next) {
			if tail := strings.ToLower(string(runes[i-1:])); strings.HasPrefix(tail, "map") {
				continue
			}
			return append(wordsOf(string(runes[:i])), wordsOf(string(runes[i:]))...)
		}
	}
	digits := strings.TrimRight(lower, "0123456789")
	if digits != "" && digits != lower {
		return append(wordsOf(digits), lower[len(digits):])
	}
	return []string{lower}
}
