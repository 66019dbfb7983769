// Package ui stands in place of the web pages, which are made by Node.js and Elm, and are not in the module.
package ui

import (
	"io"
	"net/http"

	"github.com/prometheus/common/route"
)

const page = `<!DOCTYPE html>
<html lang="en">
<title>Alertmanager</title>
<p>This Alertmanager was built without its web pages. Its API, <a href="api/v2/alerts">api/v2</a>, and amtool are whole.</p>
</html>
`

// Register serves the one page.
func Register(r *route.Router) {
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	})
}
