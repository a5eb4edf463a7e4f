package slicer

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/converter/syntax"
)

// This file finds what is done for its effect elsewhere: an import that nobody names, since it registers something, and
// calls that set up other libraries or the process.

// process stands for settings that reach every library.
const process = "(process)"

// settingUp are functions of modules that set up others.
var settingUp = map[string]string{
	"tqdm.tqdm.pandas":                   "pandas",
	"tqdm.pandas":                        "pandas",
	"tqdm.auto.tqdm.pandas":              "pandas",
	"tqdm.notebook.tqdm.pandas":          "pandas",
	"tqdm.std.tqdm.pandas":               "pandas",
	"tqdm.tqdm_notebook.pandas":          "pandas",
	"tqdm.notebook.tqdm_notebook.pandas": "pandas",
	"tqdm.autonotebook.tqdm.pandas":      "pandas",
	"pandarallel.pandarallel.initialize": "pandas",
	"nest_asyncio.apply":                 process,
	"nest_asyncio2.apply":                process,
	"sklearnex.patch_sklearn":            "sklearn",
	"intelex.patch_sklearn":              "sklearn",
	"daal4py.sklearn.patch_sklearn":      "sklearn",
	"gevent.monkey.patch_all":            process,
	"eventlet.monkey_patch":              process,
	"uvloop.install":                     process,
	"truststore.inject_into_ssl":         process,
	"pillow_heif.register_heif_opener":   "PIL",
	"pillow_avif.register_avif_opener":   "PIL",
	"cudf.pandas.install":                "pandas",
	"jax.config.update":                  "jax",
	"requests_cache.install_cache":       "requests",
	"pyximport.install":                  process,
	"copyreg.pickle":                     process,
	"copyreg.constructor":                process,
	"pymysql.install_as_MySQLdb":         process,
	"typeguard.install_import_hook":      process,
	"jaxtyping.install_import_hook":      process,
	"beartype.claw.beartype_all":         process,
}

// libraries are those that neither set up others by their settings nor register anything when they are imported.
const libraries = `
	numpy pandas scipy sklearn matplotlib seaborn plotly bokeh altair torch torchvision tensorflow keras jax polars
	xgboost lightgbm catboost wandb mlflow nltk spacy datasets huggingface_hub openai optuna ray dask statsmodels
	cv2 PIL requests boto3 kaggle networkx rich tqdm IPython ipywidgets pyarrow shap joblib folium tensorboard
	google sympy pyspark duckdb sqlalchemy graphviz metaml transformers
`

// selfContained are modules whose settings reach their own users alone, which import them.
var selfContained = words(libraries + `
	comet_ml neptune holoviews panel xarray random os sys plotnine streamlit gradio itables
`)

// seedingNames are what functions are called that seed several libraries, wherever they are.
var seedingNames = words(`
	set_seed set_seeds seed_everything seed_all set_all_seeds set_random_seed set_random_seeds fix_seed fix_seeds
	fix_random_seed set_global_seed seed_torch setup_seed enable_full_determinism init_seeds set_determinism
`)

// ownSettings are names of settings that reach their own module alone, or a file.
var ownSettings = words(`
	init login download config style update append clear remove insert extend use mkdir makedirs chdir setdefault
	setLevel addHandler load_dotenv add set_trace setup
`)

// elsewhere adds what a call of an imported function sets up beside its own module.
func (w *work) elsewhere(c *call, full string, s *summary) {
	top := topOf(full)
	name := lastPart(full)
	if to, ok := settingUp[full]; ok {
		s.modules[to] = true
		return
	}
	if seedingNames.has(name) && seeding[full] == nil && len(c.args) > 0 {
		for _, lib := range []string{"random", "numpy", "torch", "tensorflow"} {
			s.modules[lib], s.seeds[lib] = true, true
		}
		return
	}
	if !c.discarded || selfContained.has(top) || w.finder().local(top) {
		return
	}
	if isSetting(name) && !ownSettings.has(name) {
		s.modules[process] = true
	}
}

// known are modules whose import does nothing to others.
var known = words(libraries + `
	torchaudio flax optax bs4 yaml psutil gensim skimage imageio librosa soundfile dotenv lightning
	pytorch_lightning torchmetrics timm einops tabulate missingno wordcloud geopandas imblearn lime eli5 pydot
	ipykernel tensorboardX h5py numba cython mpl_toolkits kagglehub kaggle_datasets category_encoders prophet
	pmdarima textblob pytz dateutil setuptools pkg_resources six attr pydantic httpx aiohttp regex emoji unidecode
	fsspec s3fs
`)

// forEffect keeps the imports that bind names which nobody reads, where they may register something: those of libraries
// of which it is not known that they do not.
func (w *work) forEffect(imported []string) {
	if w.effectImports == nil {
		w.effectImports = w.findEffectImports()
	}
	for _, s := range w.effectImports {
		if s.e.imports[0].module == "sklearn.experimental" && !slices.Contains(imported, "sklearn") {
			continue
		}
		if _, kept := w.kept[s]; !kept && !s.skip && w.stillBinds(s) {
			w.include(s, "is imported for what it does")
		}
	}
}

// findEffectImports gives the imports of which no other statement reads a name.
func (w *work) findEffectImports() []*stmt {
	read := map[string]int{} // name → how many statements mention it
	for _, s := range w.stmts {
		for n := range s.e.names {
			read[n]++
		}
	}
	out := []*stmt{}
	for _, s := range w.stmts {
		if s.node == nil || s.node.Kind != "import_statement" && s.node.Kind != "import_from_statement" {
			continue
		}
		effect := len(s.e.imports) > 0
		for _, b := range s.e.binds {
			if b.imp == nil || read[b.name] > 1 || !w.mayRegister(b.imp) || slices.Contains(w.o.Ignore, b.name) {
				effect = false
			}
		}
		if effect && len(s.e.stars) == 0 {
			out = append(out, s)
		}
	}
	return out
}

// mayRegister says that importing something may do something to others.
func (w *work) mayRegister(imp *imported) bool {
	if imp.module == "sklearn.experimental" || imp.module == "cudf.pandas" || imp.module == "hvplot.pandas" {
		return true
	}
	top := topOf(imp.module)
	if top == "" || standard.has(top) || known.has(top) {
		return false
	}
	return !w.finder().local(top) || w.localCode(imp.module) == nil // what a local module sets up is read in its code
}

// stillBinds says that the import is no repetition of one that is kept.
func (w *work) stillBinds(s *stmt) bool {
	for k := range w.kept {
		if k != s && k.text == s.text && k.time < s.time {
			return false
		}
	}
	return true
}

// setByDefinition collects the modules that a definition of a local module is put into: by a decorator or a base class
// that another module has.
func (w *work) setByDefinition(n *syntax.Node, m *moduleCode, out map[string]bool) {
	put := func(e *syntax.Node) {
		if e.Kind == "call" {
			e = e.Child("function")
		}
		name := nameIn(e)
		if imp := m.imports[topOf(name)]; name != "" && imp != nil {
			module := imp.imp.module
			if strings.HasPrefix(module, ".") {
				module = w.finder().absolute(module, m.name)
			}
			if w.finder().local(topOf(module)) {
				w.sets(topOf(module), out)
			}
		}
	}
	for _, c := range n.Children {
		switch {
		case c.Kind == "decorator" && len(c.Children) > 0:
			put(c.Children[0])
		case c.Kind == "class_definition":
			w.setByDefinition(c, m, out)
		case c.Field == "superclasses":
			for _, b := range c.Children {
				put(b)
			}
		}
	}
}
