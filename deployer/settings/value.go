package settings

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/internal/lazyregexp"
)

var identifier = lazyregexp.New(`^[\p{L}_][\p{L}\p{N}_]*$`)

// check reports whether text is a value of d; the error is the rest of a sentence that begins with the setting's name.
func (d Def) check(text string) error {
	switch d.Type {
	case Int:
		n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
		if err != nil {
			return fmt.Errorf("takes a whole number, not %q", text)
		}
		if n < d.Min || (d.Max != 0 && n > d.Max) {
			if d.Max == 0 {
				return fmt.Errorf("must be at least %d, not %d", d.Min, n)
			}
			return fmt.Errorf("must be from %d to %s, not %d", d.Min, people(d.Max), n)
		}
	case Replicas:
		_, err := ParseReplicas(text)
		return err
	case Bool:
		if _, err := parseBool(text); err != nil {
			return err
		}
	case Name:
		if !identifier.MatchString(text) {
			return fmt.Errorf("takes the name of something defined in the notebook, not %q", text)
		}
	case Names:
		for name := range strings.SplitSeq(text, ",") {
			if !identifier.MatchString(strings.TrimSpace(name)) {
				return fmt.Errorf("takes names separated by commas, not %q", text)
			}
		}
	case Hosts:
		for name := range strings.SplitSeq(text, ",") {
			if !isHost(strings.TrimSpace(name)) {
				return fmt.Errorf("takes names of hosts, without http:// and a port, such as hub.example, not %q", text)
			}
		}
	case Origins:
		for origin := range strings.SplitSeq(text, ",") {
			if !isOrigin(strings.TrimSpace(origin)) {
				return fmt.Errorf("takes origins of pages, without a path, such as https://app.example, not %q", text)
			}
		}
	case Duration:
		if _, err := parseDuration(text); err != nil {
			return err
		}
	case Objective:
		if _, err := run.ParseObjective(text); err != nil {
			return err
		}
	case Choice:
		if !slices.Contains(d.Choices, text) {
			return fmt.Errorf("takes %s, not %q", strings.Join(d.Choices, " or "), text)
		}
	case Path:
		return checkPath(text)
	case Text, LocalFile:
		if text == "" {
			return fmt.Errorf("takes %s, not an empty one", d.Type.article())
		}
	default:
		return d.checkCluster(text)
	}
	return nil
}

// hostName is a name as DNS has it, and underscores, which networks of containers have in theirs.
var hostName = lazyregexp.New(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

func isHost(text string) bool {
	return text == "*" || hostName.MatchString(text) ||
		net.ParseIP(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")) != nil
}

// scheme is one of a URL (RFC 3986, section 3.1); extensions of browsers have schemes of their own.
var scheme = lazyregexp.New(`^[A-Za-z][A-Za-z0-9+.-]*$`)

func isOrigin(text string) bool {
	if text == "*" {
		return true
	}
	before, host, ok := strings.Cut(text, "://")
	if name, port, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		return ok && scheme.MatchString(before) && name != "*" && isHost(name) && err == nil && n > 0
	}
	return ok && scheme.MatchString(before) && host != "*" && isHost(host) &&
		(strings.HasPrefix(host, "[") || !strings.Contains(host, ":"))
}

// articles are the types that need other words in a sentence than their names.
var articles = map[Type]string{ //nolint:gosec // they are words for types, and no credentials
	Replicas: "a number of replicas",
	Names:    "names, with commas",
	Hosts:    "names of hosts, with commas",
	Origins:  "origins, with commas",
	Cores:    "a number of cores", Memory: "an amount of memory", Object: "the name of an object",
	Objects: "names of objects, with commas", ImagePath: "a path in the image",
	Variables: "a list of variables", SecretValues: "a list of variables and secrets", Labels: "a list of labels",
	Mirror: "the name of a registry", Addresses: "a list of addresses",
	Tolerations: "a list of taints", Mounts: "a list of volumes", Paths: "a list of paths",
	Records: "registry, or a volume", Outputs: "none, registry, or a volume",
	System: "names of packages, with commas", Commands: "a list of commands",
}

// article gives the type as it stands in a sentence.
func (t Type) article() string {
	if words := articles[t]; words != "" {
		return words
	}
	if strings.ContainsRune("aeio", rune(t[0])) {
		return "an " + string(t)
	}
	return "a " + string(t)
}

// people writes a number with separators: 100,000.
func people(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, fmt.Errorf("takes true or false, not %q", text)
}

func parseDuration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if seconds <= 0 || seconds > 1e9 {
			return 0, fmt.Errorf("takes a time above 0, not %q", text)
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		if days, ok := strings.CutSuffix(text, "d"); ok {
			if n, err := strconv.ParseFloat(days, 64); err == nil && n > 0 && n < 1e5 {
				return time.Duration(n * 24 * float64(time.Hour)), nil
			}
		}
		return 0, fmt.Errorf("takes a time such as 90s, 5m, 1.5h or 2d, not %q", text)
	}
	if d <= 0 {
		return 0, fmt.Errorf("takes a time above 0, not %q", text)
	}
	return d, nil
}

// ParseDuration reads a time as people write it: 90 (seconds), 90s, 5m, 1.5h, 30d.
func ParseDuration(text string) (time.Duration, error) { return parseDuration(text) }
