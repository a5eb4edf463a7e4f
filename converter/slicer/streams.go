package slicer

import (
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// This file finds who draws from the random numbers of a library, which all share: after np.random.seed(0) every draw
// moves on what the next one gets, also one that is only looked at.

// draw adds which libraries' random numbers a call seeds or draws from.
func (w *work) draw(c *call, imp *imported, method string, at where, s *summary) {
	if imp != nil {
		full := imp.fullName(c.path)
		pyplot(full, s)
		for _, lib := range seeding[full] {
			s.seeds[lib] = true
		}
		if lib := drawsFrom(full); lib != "" && !given(c, "random_state", "generator", "rng", "seed") {
			s.draws[lib] = true
		}
		if drawing.has(lastPart(full)) && strings.HasPrefix(full, "sklearn.") && isFunctionName(lastPart(full)) &&
			!given(c, "random_state") {
			s.draws["numpy"] = true
		}
	}
	switch method {
	case "sample":
		if k := w.kindAt(c.recv, at, 0); (k == table || k == unknown && imp == nil) && !given(c, "random_state") {
			s.draws["numpy"] = true
		}
	case "rvs", "fit", "fit_predict", "fit_transform", "split", "partial_fit", "resample", "fit_resample":
		if method == "rvs" && !given(c, "random_state") || w.unseededEstimator(c.recv, at, 0) {
			s.draws["numpy"] = true
		}
	}
	for _, a := range c.args {
		if method != "" && imp == nil || imp == nil || !strings.HasPrefix(imp.module, "sklearn") {
			break
		}
		if isFunctionName(lastPart(imp.fullName(c.path))) && w.kindAt(a.node, at, 0) == estimator &&
			w.unseededEstimator(a.node, at, 0) {
			s.draws["numpy"] = true // cross_val_score(RandomForestClassifier(), X, y)
		}
	}
}

// drawsFromHeld notes that an object draws from the generator that it was made with:
// KFold(random_state=rng).split(X).
func (w *work) drawsFromHeld(refs []ref, time int, add *adding) {
	for _, r := range w.expand(refs, time, 0) {
		for _, v := range w.valuesAt(r.name, time) {
			for u := range reach(v, held) {
				if !r.param && w.kindOf(u) == randomness {
					add.refs([]ref{{name: u.name, moved: true}})
				}
			}
		}
	}
}

// drawsFrom is the library from whose random numbers a function draws, by its full name; "" is none.
func drawsFrom(full string) string {
	name := lastPart(full)
	switch {
	case strings.HasPrefix(full, "random."):
		switch name {
		case "seed", "Random", "SystemRandom", "getstate", "setstate":
			return ""
		}
		return "random"
	case strings.HasPrefix(full, "numpy.random."):
		if seeding[full] != nil || generators[full] || name == "get_state" || name == "Generator" ||
			name == "SeedSequence" {
			return ""
		}
		return "numpy"
	case strings.HasPrefix(full, "torch.nn.init."), strings.HasPrefix(full, "torch.nn.") && isClassName(name) &&
		!stateless.has(name):
		return "torch"
	case strings.HasPrefix(full, "torch."):
		switch name {
		case "rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "rand_like", "randn_like",
			"randint_like", "poisson", "random_split":
			return "torch"
		}
	case strings.HasPrefix(full, "tensorflow.random.") && seeding[full] == nil && name != "Generator":
		return "tensorflow"
	}
	return ""
}

// stateless are classes of torch.nn that make no weights.
var stateless = words(`
	Module Sequential ModuleList ModuleDict ReLU GELU Sigmoid Tanh Softmax LogSoftmax Flatten Unflatten Dropout
	Dropout2d MaxPool1d MaxPool2d AvgPool2d AdaptiveAvgPool2d BatchNorm1d BatchNorm2d LayerNorm GroupNorm Identity
	MSELoss L1Loss CrossEntropyLoss BCELoss BCEWithLogitsLoss NLLLoss KLDivLoss SmoothL1Loss HuberLoss LeakyReLU ELU
	SiLU Parameter Upsample DataParallel
`)

// drawing are functions and classes of scikit-learn that draw from numpy's random numbers where they are given no
// random_state.
var drawing = words(`
	train_test_split shuffle resample KFold StratifiedKFold GroupKFold ShuffleSplit StratifiedShuffleSplit
	GroupShuffleSplit RepeatedKFold RepeatedStratifiedKFold permutation_importance make_classification
	make_regression make_blobs make_moons make_circles make_friedman1 make_friedman2 make_friedman3
	make_multilabel_classification make_gaussian_quantiles make_s_curve make_swiss_roll make_sparse_uncorrelated
	make_low_rank_matrix make_hastie_10_2 make_biclusters RandomForestClassifier RandomForestRegressor
	ExtraTreesClassifier ExtraTreesRegressor ExtraTreeClassifier ExtraTreeRegressor RandomTreesEmbedding
	GradientBoostingClassifier GradientBoostingRegressor HistGradientBoostingClassifier
	HistGradientBoostingRegressor BaggingClassifier BaggingRegressor AdaBoostClassifier AdaBoostRegressor
	DecisionTreeClassifier DecisionTreeRegressor IsolationForest MLPClassifier MLPRegressor BernoulliRBM
	SGDClassifier SGDRegressor SGDOneClassSVM Perceptron PassiveAggressiveClassifier PassiveAggressiveRegressor SVC
	SVR NuSVC LinearSVC LinearSVR KMeans MiniBatchKMeans BisectingKMeans SpectralClustering GaussianMixture
	BayesianGaussianMixture TruncatedSVD NMF MiniBatchNMF FastICA DictionaryLearning LatentDirichletAllocation
	FactorAnalysis TSNE MDS SpectralEmbedding RandomizedSearchCV HalvingRandomSearchCV HalvingGridSearchCV
	GaussianRandomProjection SparseRandomProjection Nystroem RBFSampler QuantileTransformer KBinsDiscretizer
	RANSACRegressor TheilSenRegressor IterativeImputer SMOTE RandomOverSampler RandomUnderSampler ADASYN
`)

// unseededEstimator says that an expression is an estimator that draws when it is fitted: it, or one that it was made
// of, has no random_state.
func (w *work) unseededEstimator(n *syntax.Node, at where, depth int) bool {
	if depth == 0 {
		w.expansions = maxExpansions
	}
	if w.expansions--; n == nil || depth > 4 || w.expansions < 0 {
		return false
	}
	found := false
	n.Walk(func(c *syntax.Node) bool {
		if found {
			return false
		}
		switch c.Kind {
		case "call":
			name := lastName(c.Child("function"))
			if drawing.has(name) && isClassName(name) && !hasKeyword(c, "random_state") &&
				(!strings.HasSuffix(name, "Fold") || hasKeyword(c, "shuffle")) {
				found = true
			}
		case "keyword_argument":
			if v := c.Child("value"); v != nil {
				found = found || w.unseededEstimator(v, at, depth+1)
			}
			return false
		case "identifier":
			for sc := at.sc; sc != nil; sc = sc.up {
				if sc.kind != moduleScope && sc.local[c.Text()] {
					for _, v := range sc.values[c.Text()] {
						found = found || v != n && w.unseededEstimator(v, where{at.time, sc}, depth+1)
					}
					return false
				}
			}
			for _, v := range w.valuesAt(c.Text(), at.time) {
				if v.bind != nil && v.bind.value != nil && v.stmt != nil && v.bind.value != n {
					found = found || w.unseededEstimator(v.bind.value, where{time: v.stmt.time}, depth+1)
				}
			}
		}
		return !found
	})
	return found
}

// hasKeyword says that a call has a keyword argument that is not None.
func hasKeyword(call *syntax.Node, name string) bool {
	args := call.Child("arguments")
	if args == nil {
		return false
	}
	for _, a := range args.Children {
		if a.Kind == "dictionary_splat" {
			return true // in doubt it is in there
		}
		if k, v := a.Child("name"), a.Child("value"); a.Kind == "keyword_argument" && k != nil && k.Text() == name {
			return v != nil && v.Kind != "none"
		}
	}
	return false
}

// given says that a call has one of the keyword arguments, and it is not None.
func given(c *call, names ...string) bool {
	for _, a := range c.args {
		for _, n := range names {
			if a.key == n && !a.none {
				return true
			}
		}
	}
	return false
}

func lastPart(full string) string { return full[strings.LastIndexByte(full, '.')+1:] }

func isFunctionName(name string) bool { return name != "" && !isClassName(name) }

// drawn is what is drawn to a figure of pyplot, as a library whose random numbers are.
const drawn = "(figure)"

// pyplot adds what a call does to pyplot's current figure.
func pyplot(full string, s *summary) {
	name, is := strings.CutPrefix(full, "matplotlib.pyplot.")
	switch {
	case !is && !strings.HasPrefix(full, "seaborn."):
	case name == "figure" || name == "subplots" || name == "close" || name == "clf":
		s.seeds[drawn], s.draws[drawn] = true, true
	case name == "savefig":
		s.draws[drawn], s.saves = true, true
	case !strings.HasPrefix(name, "show"):
		s.draws[drawn] = true
	}
}

// figures keeps what was drawn to a picture that a kept statement saves.
func (w *work) figures() {
	var since []*stmt // the last new figure
	for _, s := range w.stmts {
		if s.seeds[drawn] {
			since = nil
		}
		if _, kept := w.kept[s]; kept && s.saves {
			for _, b := range since {
				w.include(b, "draws what "+s.name()+" saves")
			}
		}
		if s.draws[drawn] && !s.skip {
			since = append(since, s)
		}
	}
}

// streams keeps the draws on which a kept draw depends: those since the last kept seed before it.
func (w *work) streams() {
	for _, lib := range []string{"random", "numpy", "torch", "tensorflow"} {
		var between []*stmt // draws since the last kept seed
		seeded := false
		for _, s := range w.stmts {
			_, kept := w.kept[s]
			if s.seeds[lib] && kept {
				seeded, between = true, nil
			}
			if !s.draws[lib] || !seeded || s.skip {
				continue
			}
			if !kept {
				between = append(between, s)
				continue
			}
			for _, b := range between {
				w.include(b, "draws random numbers of "+lib+" before "+s.name()+" does")
			}
			between = nil
		}
	}
}
