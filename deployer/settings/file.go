package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/metaml/metaml/internal/usererror"
)

// FileName is the name of the settings file.
const FileName = "metaml.toml"

// maxFile bounds a settings file, in bytes.
const maxFile = 1 << 20

// File is the settings file of a folder.
type File struct {
	Path    string // "" if there is none
	Ignored string // a sentence about a nearer one that is not obeyed, or ""
}

// FindFile looks for metaml.toml in dir and then upward. One that somebody else could have put there is left out: it
// must belong to this user, to root or to the owner of dir, whose code is about to run, and be writable by no others.
func FindFile(dir string) File {
	var f File
	trusted := []int{os.Geteuid(), 0}
	if info, err := os.Stat(dir); err == nil {
		if owner, ok := ownerOf(info); ok {
			trusted = append(trusted, owner)
		}
	}
	for {
		path := filepath.Join(dir, FileName)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			why := distrust(info, trusted)
			if why == "" {
				f.Path = path
				return f
			}
			if f.Ignored == "" {
				f.Ignored = fmt.Sprintf("%s is not obeyed: %s", path, why)
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return f
		}
		dir = parent
	}
}

// distrust says why a settings file is not obeyed and what to do, or "".
func distrust(info fs.FileInfo, trusted []int) string {
	const writableByOthers = 0o002
	owner, known := ownerOf(info)
	switch {
	case known && !slices.Contains(trusted, owner):
		return fmt.Sprintf("it belongs to %s; a copy of your own is", userName(owner))
	case info.Mode().Perm()&writableByOthers != 0:
		return "everybody can write to it; chmod o-w makes it yours"
	default:
		return ""
	}
}

func ownerOf(info fs.FileInfo) (int, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return "user " + u.Username
	}
	return fmt.Sprintf("user %d", uid)
}

type fileValue struct {
	Given
	name string // as it is written
	line int
}

// readFile reads the settings of a metaml.toml. Unknown and ill-typed keys are refused with file and line.
func readFile(path string) ([]fileValue, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usererror.Wrap(err, usererror.CodeSettingsFile,
			fmt.Sprintf("cannot read %s: %s", path, reason(err)), "")
	}
	if len(data) > maxFile {
		return nil, &usererror.Error{
			Code: usererror.CodeSettingsFile,
			Text: fmt.Sprintf("%s is larger than 1 MiB, which no settings file is", path),
		}
	}
	return parseFile(path, data)
}

func reason(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

func parseFile(path string, data []byte) ([]fileValue, error) {
	var whole map[string]any
	if err := toml.Unmarshal(data, &whole); err != nil {
		if decode, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := decode.Position()
			return nil, fileError(path, line, "this is not TOML: %s", strings.TrimPrefix(decode.Error(), "toml: "))
		}
		return nil, usererror.Wrap(err, usererror.CodeSettingsFile, fmt.Sprintf("%s is not TOML: %s", path, err), "")
	}
	var (
		values []fileValue
		parser unstable.Parser
		table  []string
	)
	parser.Reset(data)
	for parser.NextExpression() {
		e := parser.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = keys(e)
		case unstable.KeyValue:
			name := append(slices.Clone(table), keys(e)...)
			if isTable(name[0]) {
				name = name[:1]
			}
			joined := strings.Join(name, ".")
			if slices.ContainsFunc(values, func(v fileValue) bool { return v.name == joined }) {
				continue // another line of a table that was read whole; TOML has no other name twice
			}
			v, err := fileSetting(path, keyLine(&parser, e), joined, lookup(whole, name))
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		}
	}
	return values, nil
}

// isTable reports whether a setting may be a table.
func isTable(name string) bool {
	d, ok := Lookup(name)
	return ok && d.Type.Table()
}

// keyLine is the line of a key, from 1.
func keyLine(parser *unstable.Parser, e *unstable.Node) int {
	it := e.Key()
	it.Next() // a key has at least one part
	return parser.Shape(it.Node().Raw).Start.Line
}

func keys(e *unstable.Node) []string {
	var names []string
	for it := e.Key(); it.Next(); {
		names = append(names, string(it.Node().Data))
	}
	return names
}

func lookup(whole map[string]any, names []string) any {
	var at any = whole
	for _, name := range names {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[name]
	}
	return at
}

// packageKeys are the names of a decorator's package={…}, which a file may have as a [package] table.
var packageKeys = map[string]string{
	"package.repository": "repository", "package.name": "image_name", "package.publish": "publish",
}

func fileSetting(path string, line int, name string, value any) (fileValue, error) {
	canonical := name
	if p, ok := packageKeys[name]; ok {
		canonical = p
	}
	def, ok := Lookup(canonical)
	if !ok {
		refused := fileError(path, line, "there is no setting %q", name)
		if n := nearest(name, All); n != "" {
			refused.Hint = fmt.Sprintf("Did you mean %q?", strings.ReplaceAll(n, "-", "_"))
		}
		return fileValue{}, refused
	}
	if def.NoFile {
		return fileValue{},
			fileError(path, line,
				"%s is not taken from a file, which may have come with somebody else's code; type it, or set "+
					"%s", name, def.Variable())
	}
	text, err := tomlText(def, value)
	if err == nil {
		err = def.check(text)
	}
	if err != nil {
		return fileValue{}, fileError(path, line, "%s %s", name, err)
	}
	if def.Type == LocalFile && !filepath.IsAbs(text) {
		text = filepath.Join(filepath.Dir(path), text)
	}
	return fileValue{Given: Given{Def: def, Value: text}, name: name, line: line}, nil
}

// tomlText gives a TOML value as the text that a cell would hold, or says that its type is wrong.
func tomlText(def Def, value any) (string, error) {
	text, _ := scalar(value)
	switch value.(type) {
	case bool:
		if def.Type == Bool {
			return text, nil
		}
	case int64, float64:
		if slices.Contains([]Type{Int, Replicas, Duration, Cores, Memory}, def.Type) {
			return text, nil
		}
	case string:
		if def.Type != Int && def.Type != Bool {
			return text, nil
		}
		return "", fmt.Errorf("takes %s, not the text %q", def.Type.article(), text)
	}
	return def.several(value)
}

func fileError(path string, line int, format string, args ...any) *usererror.Error {
	return &usererror.Error{
		Code: usererror.CodeSettingsFile, Text: fmt.Sprintf("%s:%d: ", path, line) + fmt.Sprintf(format, args...),
	}
}
