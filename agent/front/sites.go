package front

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/metaml/metaml/deployer/run"
)

// A browser sends what any page has it send, from inside the user's machine. Two things distinguish such requests. A
// page whose name was made to point here (DNS rebinding) sends its own name, which the Host header has: only names
// that the server is known by are answered. Every other page is one of another site, which Sec-Fetch-Site says, or
// else Origin: it is refused unless --cors lets it. Who is no browser sends neither of the two.

// sites are the names that a revision answers to, and the pages that may ask it.
type sites struct {
	names     map[string]bool // lower case, without a port
	anyName   bool
	addresses bool // any address is one of the server's: no name can be rebound to be one
	origins   map[string]bool
	anyOrigin bool
}

// anything stands for every name, or every origin.
const anything = "*"

func newSites(r run.FrontRevision) sites {
	s := sites{names: map[string]bool{}, origins: map[string]bool{}, addresses: r.Addresses}
	for _, name := range r.Hosts {
		s.names[strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")] = true
	}
	for _, origin := range r.Origins {
		s.origins[strings.ToLower(origin)] = true
	}
	s.anyName, s.anyOrigin = s.names[anything], s.origins[anything]
	return s
}

// knows reports whether the server is known by a name.
func (s *sites) knows(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if s.anyName || s.names[name] || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && (s.addresses || address.Unmap().IsLoopback())
}

// allows reports whether pages of an origin may ask. "": the browser did not say which.
func (s *sites) allows(origin string) bool {
	return s.anyOrigin || origin != "" && s.origins[strings.ToLower(origin)]
}

// known is the name that a connection's last request gave, so that it is not looked up for each.
type known struct {
	sites *sites
	name  string
}

// authorityOf gives what a request calls the server: what its target says, else its Host header.
func authorityOf(h *fasthttp.RequestHeader) (string, *problem) {
	authority, target := string(h.Host()), h.RequestURI()
	if _, valid := nameOf(authority); !valid && authority != "" {
		return "", wrong(400, "the request is not valid HTTP: its Host is no name of a server")
	}
	scheme, rest, absolute := bytes.Cut(target, []byte("://"))
	if target[0] == '/' || !absolute {
		return authority, nil
	}
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		rest = rest[:i]
	}
	if _, valid := nameOf(string(rest)); !valid {
		return "", wrong(400, "the request is not valid HTTP: its target names no server")
	}
	if !strings.EqualFold(string(scheme), "http") {
		return "", wrong(421, fmt.Sprintf("this server speaks http, not %q", shorten(string(scheme))))
	}
	return string(rest), nil
}

// nameOf gives the name in what Host has beside a port (RFC 3986, section 3.2, without the user).
func nameOf(authority string) (name string, valid bool) {
	port := ""
	if rest, ok := strings.CutPrefix(authority, "["); ok {
		name, port, ok = strings.Cut(rest, "]")
		if a, err := netip.ParseAddr(name); !ok || err != nil || !a.Is6() || a.Zone() != "" {
			return "", false
		}
		if port, ok = strings.CutPrefix(port, ":"); !ok && port != "" {
			return "", false
		}
	} else {
		name, port, _ = strings.Cut(authority, ":")
		if name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return r >= 0x80 || !token[r] && strings.IndexByte("(),;=", byte(r)) < 0 ||
				strings.IndexByte("#^`|", byte(r)) >= 0
		}) {
			return "", false
		}
	}
	if port == "" {
		return name, true
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return name, err == nil
}

// The headers that are read in each request, as fasthttp keeps them.
var (
	headerOrigin    = []byte("Origin")
	headerFetchSite = []byte("Sec-Fetch-Site")
)

// visit decides whether a request is answered, says so to the browser, and reports whether it was.
func (f *front) visit(ctx *fasthttp.RequestCtx, r *revision) bool {
	ctx.Response.Header.SetCanonical(nosniff, nosniffValue)
	s := &nobody
	if r != nil {
		s = &r.sites
	}
	h := &ctx.Request.Header
	origin := string(h.PeekCanonical(headerOrigin))
	s.answerTo(ctx, origin)
	site := h.PeekCanonical(headerFetchSite)
	if origin == "" && (len(site) == 0 || string(site) == "same-origin") && s.remembers(ctx) {
		return true // as most requests are
	}
	authority, p := authorityOf(h)
	// Before there is a revision it is not known which names are its own, and only whether it is ready is said.
	if path := string(ctx.Path()); p == nil && (path == "/healthz" || r == nil && path == "/readyz") {
		return true
	}
	if p == nil {
		p = s.refuses(h, authority, origin)
	}
	switch {
	case p != nil && p.status == 421 && r == nil:
		f.unknown(ctx) // who is known by which names is not known yet
		return false
	case p != nil:
		if r != nil && r.route.leads(ctx) {
			f.metrics.answered(p.status)
		}
		f.refuse(ctx, ctx.Time(), p)
		return false
	case ctx.IsOptions() && origin != "" && s.allows(origin) && len(h.Peek("Access-Control-Request-Method")) > 0:
		preflight(ctx)
		return false
	}
	if c, ok := ctx.Conn().(*client); ok && authority != "" && h.RequestURI()[0] == '/' {
		c.known = known{s, authority}
	}
	return true
}

// remembers reports whether the connection's last request gave the same name, which was one of the server's.
func (s *sites) remembers(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	c, ok := ctx.Conn().(*client)
	return ok && c.known.sites == s && string(h.Host()) == c.known.name && h.RequestURI()[0] == '/'
}

// refuses says why a request is none for the server, if it is not. Only what is no browser gives no name.
func (s *sites) refuses(h *fasthttp.RequestHeader, authority, origin string) *problem {
	name, _ := nameOf(authority)
	switch {
	case authority != "" && !s.knows(name):
		text := "this server is not known by the name %[1]q; if it is one of its names, start it with --allow-host " +
			"%[1]s"
		return wrong(421, fmt.Sprintf(text, shorten(name)))
	case !foreign(h, origin, authority), s.allows(origin):
		return nil
	}
	text := "a page of another site asks; type the address yourself, or start the server with --cors ORIGIN for its " +
		"origin"
	if origin != "" && origin != "null" {
		text = fmt.Sprintf("a page of another site, %s, asks; start the server with --cors %[1]s to let it",
			shorten(origin))
	}
	return wrong(403, text)
}

// nobody is who may ask before there is a revision that says so.
var nobody sites

// foreign reports whether a browser sent a request for a page of another site. Sec-Fetch-Site knows better than
// Origin: a proxy may have given the server another name than the page sees.
func foreign(h *fasthttp.RequestHeader, origin, authority string) bool {
	switch string(h.PeekCanonical(headerFetchSite)) {
	case "same-origin", "none":
		return false
	case "":
		return origin != "" && !sameOrigin(origin, authority)
	}
	return true
}

// sameOrigin reports whether an origin is that of the server, as the request names it. A proxy may have taken TLS off.
func sameOrigin(origin, authority string) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return false
	}
	usual := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return strings.EqualFold(strings.TrimSuffix(host, usual), strings.TrimSuffix(authority, usual))
}

// answerTo lets the pages of an origin read the answer, whatever it will be.
func (s *sites) answerTo(ctx *fasthttp.RequestCtx, origin string) {
	if len(s.origins) == 0 {
		return
	}
	header := &ctx.Response.Header
	if !s.anyOrigin {
		header.Set("Vary", "Origin")
	}
	if !s.allows(origin) {
		return
	}
	if s.anyOrigin {
		origin = anything
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", anything) // also those that the function sets
}

// preflightAge is for how many seconds a browser need not ask again: the most that all of them keep.
const preflightAge = "7200"

// preflight answers a browser whether a page may send a request. Whether there is something at the path the
// request itself is answered, so that the page can read it.
func preflight(ctx *fasthttp.RequestCtx) {
	request, header := &ctx.Request.Header, &ctx.Response.Header
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST")
	if names := string(request.Peek("Access-Control-Request-Headers")); names != "" && isList(names) {
		header.Set("Access-Control-Allow-Headers", names)
	}
	if string(request.Peek("Access-Control-Request-Private-Network")) == "true" {
		header.Set("Access-Control-Allow-Private-Network", "true")
	}
	header.Set("Access-Control-Max-Age", preflightAge)
	const asksFor = ", Access-Control-Request-"
	header.Set("Vary", "Origin"+asksFor+"Method"+asksFor+"Headers"+asksFor+"Private-Network")
	ctx.SetStatusCode(204)
}

// isList reports whether a text is a list of tokens.
func isList(text string) bool {
	return !slices.ContainsFunc([]byte(text), func(c byte) bool { return !token[c] && c != ',' && c != ' ' })
}

// shorten bounds what an answer repeats of a request.
func shorten(text string) string { return strings.ToValidUTF8(text[:min(len(text), 200)], "\ufffd") }

var nosniff, nosniffValue = []byte("X-Content-Type-Options"), []byte("nosniff")
