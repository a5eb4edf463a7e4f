package wheel

import (
	"fmt"
	"regexp"
	"strings"
)

// entryPoint is a program that a distribution wants to have: NAME = MODULE:OBJECT
// (packaging.python.org/specifications/entry-points).
type entryPoint struct{ name, module, object string }

// entryPoints reads the sections console_scripts and gui_scripts of entry_points.txt.
func entryPoints(text []byte) []entryPoint {
	var all []entryPoint
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"), strings.HasPrefix(line, ";"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		case section == "console_scripts", section == "gui_scripts":
			name, value, _ := strings.Cut(line, "=")
			value, _, _ = strings.Cut(value, "[") // extras, which are of no use any more
			module, object, _ := strings.Cut(value, ":")
			all = append(all, entryPoint{
				strings.TrimSpace(name), strings.TrimSpace(module), strings.TrimSpace(object),
			})
		}
	}
	return all
}

var (
	scriptName = regexp.MustCompile(`^[\w.-]+$`)
	dotted     = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*$`)
)

// script is the program, for an environment whose programs are in a folder.
func (p entryPoint) script(bin string) ([]byte, error) {
	if !scriptName.MatchString(p.name) || strings.Trim(p.name, ".") == "" || !dotted.MatchString(p.module) ||
		!dotted.MatchString(p.object) {
		return nil, fmt.Errorf("its entry point %q = %q:%q is not understood", p.name, p.module, p.object)
	}
	first, _, _ := strings.Cut(p.object, ".")
	return fmt.Appendf(nil, "#!/%s/python\nimport sys\n\nfrom %s import %s\n\nif __name__ == \"__main__\":\n"+
		"    sys.exit(%s())\n", bin, p.module, first, p.object), nil
}
