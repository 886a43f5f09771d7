package web

// docsPolicy lets the page load and call what is ours, and nothing else. Swagger
// UI needs no more: its styles are set by script, and where its style sheet has
// images of its own, ours overrides it.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// Docs gives the page on which the API is read and tried, and its
// Content-Security-Policy: Swagger UI, on a page of our own.
func (p *Pages) Docs() (body []byte, policy string) {
	return p.render("docs.html", struct {
		Base, Icon      string
		Styles, Scripts []string
	}{
		p.prefix, p.asset("icon.svg"),
		[]string{p.asset(docsUIStyle), p.asset("docs.css")}, []string{p.asset(docsUIScript), p.asset("docs.js")},
	}), docsPolicy
}
