package requirements

import (
	"slices"
	"strings"

	"github.com/metaml/metaml/internal/distribution"
	"github.com/metaml/metaml/internal/lazyregexp"
)

// elsewhere are modules that a service brings, and no package index: what they do is not to be had on another machine.
var elsewhere = map[string]string{
	"google.colab":      "Colab",
	"kaggle_secrets":    "Kaggle",
	"kaggle_datasets":   "Kaggle",
	"kaggle_web_client": "Kaggle",
	"dbruntime":         "Databricks",
	"js":                "Pyodide",
	"pyodide":           "Pyodide",
	"piplite":           "JupyterLite",
}

// distributions are well-known modules whose distribution has another name, with the most usual one first; what the
// others bring is the same module. A module that is not here is taken to be of the distribution of its own name.
var distributions = map[string][]string{
	// As in Pants' DEFAULT_MODULE_MAPPING (pants/backend/python/dependency_inference/default_module_mapping.py).
	"attr":       {"attrs"},
	"Bio":        {"biopython"},
	"azure.core": {"azure-core"},
	"bs4":        {"beautifulsoup4"},
	"bson":       {"pymongo"},
	"Crypto":     {"pycryptodome"},
	"cv2": {
		"opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless",
	},
	"dateutil":                   {"python-dateutil"},
	"docx":                       {"python-docx"},
	"dotenv":                     {"python-dotenv"},
	"faiss":                      {"faiss-cpu", "faiss-gpu"},
	"fitz":                       {"pymupdf"},
	"git":                        {"gitpython"},
	"github":                     {"pygithub"},
	"google.cloud.sql.connector": {"cloud-sql-python-connector"},
	"google.auth":                {"google-auth"},
	"google.oauth2":              {"google-auth"},
	"google.protobuf":            {"protobuf"},
	"googleapiclient":            {"google-api-python-client"},
	"gridfs":                     {"pymongo"},
	"grpc":                       {"grpcio"},
	"jose":                       {"python-jose"},
	"jwt":                        {"pyjwt"},
	"kafka":                      {"kafka-python"},
	"Levenshtein":                {"python-levenshtein", "levenshtein"},
	"magic":                      {"python-magic"},
	"mpl_toolkits":               {"matplotlib"},
	"mysql.connector":            {"mysql-connector-python"},
	"nacl":                       {"pynacl"},
	"opensearchpy":               {"opensearch-py"},
	"OpenSSL":                    {"pyopenssl"},
	"PIL":                        {"pillow"},
	"pkg_resources":              {"setuptools"},
	"pptx":                       {"python-pptx"},
	"psycopg2":                   {"psycopg2-binary", "psycopg2"},
	"pywt":                       {"pywavelets"},
	"ruamel.yaml":                {"ruamel-yaml"},
	"shapefile":                  {"pyshp"},
	"skimage":                    {"scikit-image"},
	"sklearn":                    {"scikit-learn"},
	"slugify":                    {"python-slugify"},
	"snowflake.connector":        {"snowflake-connector-python"},
	"socks":                      {"pysocks"},
	"websocket":                  {"websocket-client"},
	"yaml":                       {"pyyaml"},

	// As in pipreqs' table (pipreqs/mapping), where that is not out of date.
	"Cryptodome": {"pycryptodomex"},
	"discord":    {"discord-py"},
	"dns":        {"dnspython"},
	"impala":     {"impyla"},
	"OpenGL":     {"pyopengl"},
	"past":       {"future"},
	"serial":     {"pyserial"},
	"telebot":    {"pytelegrambotapi"},
	"telegram":   {"python-telegram-bot"},
	"usb":        {"pyusb"},
	"zmq":        {"pyzmq"},

	// As the projects' own pages of installation say it.
	"imblearn": {"imbalanced-learn"},
	"MySQLdb":  {"mysqlclient"},
	"osgeo":    {"gdal"},
	"pylab":    {"matplotlib"},
	"umap":     {"umap-learn"},
}

// namespaces are packages that many distributions have parts of, so that their own name says nothing.
var namespaces = map[string]bool{
	"azure": true, "backports": true, "google": true, "jaraco": true, "mysql": true, "ruamel": true, "snowflake": true,
	"zope": true,
}

// parts are namespaces whose distributions are called after their parts: google.cloud.storage is google-cloud-storage,
// azure.storage.blob is azure-storage-blob.
var parts = lazyregexp.New(`^(google\.cloud\.[a-z]\w*?|azure(\.[a-z]\w*){1,2})(_v\d+)?($|\.)`)

// guess gives the distributions that an import needs, of each those that may bring it, with the most usual one first;
// none if nothing says it.
func guess(i Import) [][]string {
	var found [][]string
	for _, module := range i.modules() {
		names := guessed(module)
		if names != nil && !slices.ContainsFunc(found, func(known []string) bool { return known[0] == names[0] }) {
			found = append(found, names)
		}
	}
	return found
}

// modules are those that an import may name: what is imported from a package may be a module.
func (i Import) modules() []string {
	all := []string{i.Module}
	for _, name := range i.Names {
		all = append(all, i.Module+"."+name)
	}
	return all
}

func guessed(module string) []string {
	for at := module; at != ""; at = parent(at) {
		if names, ok := distributions[at]; ok {
			return names
		}
	}
	if m := parts.FindStringSubmatch(module); m != nil {
		return []string{distribution.Normalize(m[1])}
	}
	if top := topOf(module); !namespaces[top] && distribution.IsName(top) {
		return []string{distribution.Normalize(top)}
	}
	return nil
}

// service is who brings a module that no index has; "" if that is nobody.
func service(i Import) string {
	for _, module := range i.modules() {
		for at := module; at != ""; at = parent(at) {
			if name := elsewhere[at]; name != "" {
				return name
			}
		}
	}
	return ""
}

func topOf(module string) string {
	top, _, _ := strings.Cut(module, ".")
	return top
}

// parent is the package of a module; "" if it has none.
func parent(module string) string {
	i := strings.LastIndexByte(module, '.')
	return module[:max(i, 0)]
}
