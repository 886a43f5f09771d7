// Package routes puts the rooms together: it builds services and handlers from
// settings and a store, and the router from the one route table.
package routes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"

	"dueto/config"
	"dueto/handlers"
	"dueto/middleware"
	"dueto/models"
	"dueto/services"
	"dueto/web"
)

const (
	maxBody        = 1 << 20 // bytes
	requestTimeout = 10 * time.Second
)

// AccessLine is the log message of the line that each request leaves.
const AccessLine = middleware.AccessLine

// Deps is what the server is made of. Tests give their own clock.
type Deps struct {
	// Config must have passed its Check, and have its PublicURL set.
	Config config.Config
	// Secret stands in place of the one that Config names; nil means that one.
	Secret []byte
	Store  *models.Store
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Draining says that the server is about to stop; nil means never.
	Draining *atomic.Bool
	// Services are the rules; nil makes New build them from the rest.
	Services *Services
}

// site gives the public URL without a slash at its end: what is made from it does
// not differ by one.
func (d Deps) site() string { return strings.TrimRight(d.Config.PublicURL, "/") }

func throttled(c config.Config) bool { return c.Throttle == "on" }

// app holds the handlers that the table names.
type app struct {
	config    config.Config
	root      handlers.Func
	document  handlers.Func
	jwks      handlers.Func
	asset     handlers.Func
	health    *handlers.HealthHandler
	docs      handlers.Func
	auth      *handlers.AuthHandler
	apiTokens *handlers.APITokenHandler
	users     *handlers.UserHandler
	tasks     *handlers.TaskHandler
}

// New builds the server's handler.
func New(d Deps) (http.Handler, error) {
	if d.Draining == nil {
		d.Draining = new(atomic.Bool)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	svc, err := d.Services, error(nil)
	if svc == nil {
		if svc, err = NewServices(d); err != nil {
			return nil, err
		}
	}
	var throttle *services.Throttle
	if throttled(d.Config) {
		throttle = services.NewThrottle(d.Now, svc.shared)
	}
	public, err := url.Parse(d.site())
	if err != nil || public.Host == "" {
		return nil, fmt.Errorf("public URL %q: not absolute", d.Config.PublicURL)
	}
	prefix := public.Path // decoded, as the router matches
	links := handlers.NewLinks(d.site())
	cookies := middleware.Cookies{Path: cmp.Or(public.EscapedPath(), "/"), Secure: public.Scheme == "https", Modes: d.Config.AuthModes}
	assets := web.NewAssets()
	pages := web.NewPages(assets, d.site())
	paging := pagingOf(d.Config)
	a := &app{
		config: d.Config,
		jwks:   handlers.JWKS(svc.Keys.JWKS),
		asset:  handlers.Asset(assets.Read),
		health: handlers.NewHealthHandler(d.Store.Ready, d.Draining),
		docs:   handlers.Docs(pages.Docs()),
		auth:   handlers.NewAuthHandler(svc.Accounts, svc.Sessions, cookies, links, pages),

		apiTokens: handlers.NewAPITokenHandler(svc.APITokens, links),

		users: handlers.NewUserHandler(svc.Users, cookies, links, paging),
		tasks: handlers.NewTaskHandler(svc.Tasks, links, paging),
	}
	a.root = handlers.Root(resources(a.table(), links))
	a.document = handlers.Document(func() ([]byte, error) {
		document, err := json.Marshal(Document(d.Config))
		return append(document, '\n'), err
	})

	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.RedirectTrailingSlash = false // both forms are routes; curl follows no redirect on POST
	r.RemoteIPHeaders = []string{"X-Forwarded-For"}
	if err := r.SetTrustedProxies(d.Config.TrustedProxies); err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	crossOrigin, err := middleware.CrossOrigin(append([]string{public.Scheme + "://" + public.Host}, d.Config.CORSOrigins...))
	if err != nil {
		return nil, fmt.Errorf("trusted origins: %w", err)
	}
	browse := middleware.Browsing{
		Show: newBrowser(a.table(), pages, cookies, public).show, Policy: web.BrowsePolicy,
		AtOnce: runtime.GOMAXPROCS(0) / 2, Plain: plain(a.table(), prefix),
	}
	r.Use(
		middleware.Request(requestTimeout),
		middleware.AccessLog(d.Logger),
		middleware.Recover(d.Logger),
		middleware.SecureHeaders(public.Scheme == "https"),
		middleware.Browse(browse),
		middleware.Recover(d.Logger), // again, so that a page shows what it answers
		middleware.Errors(d.Logger),
		middleware.Throttle(throttle, services.RateOverall, exempt(a.table(), prefix)...),
		crossOrigin,
		middleware.LimitBody(maxBody),
	)
	authenticate := middleware.Authenticate(services.NewAuthenticator(svc.Sessions, svc.APITokens), cookies)
	ownWrites := services.NewOwnWrites(d.Store, d.Now)
	missing := []gin.HandlerFunc{authenticate, middleware.NoRoute(methodsOf(a.table(), prefix))}
	r.NoRoute(missing...)
	for _, route := range shadowed(a.table()) {
		for _, path := range bothForms(prefix + route.Path) {
			r.Handle(route.Method, path, missing...)
		}
	}
	for _, route := range withImplied(a.table()) {
		chain := doors(route, authenticate, ownWrites, d.Config.ReadAccess != "public")
		if route.Rate != services.RateOverall && route.Rate != services.RateExempt {
			chain = slices.Insert(chain, 0, middleware.Throttle(throttle, route.Rate))
		}
		chain = append(chain, handlers.Wrap(handlers.CheckQuery(route.Does.Query, browsable(route))), handlers.Wrap(route.Handler))
		for _, path := range bothForms(prefix + route.Path) {
			r.Handle(route.Method, path, chain...)
		}
	}
	return withCORS(r, d.Config.CORSOrigins), nil
}

// Table lists the routes as a server with the default settings serves them, for
// people to read.
func Table() []Route { return tableOf(config.Default()) }

// tableOf lists the routes of a server with some settings, without what serves
// them.
func tableOf(c config.Config) []Route {
	a := &app{
		config: c,
		health: &handlers.HealthHandler{}, auth: &handlers.AuthHandler{}, apiTokens: &handlers.APITokenHandler{},
		users: &handlers.UserHandler{}, tasks: &handlers.TaskHandler{},
	}
	return a.table()
}

func pagingOf(c config.Config) handlers.Paging {
	return handlers.Paging{Default: c.PageSize, Max: c.MaxPageSize}
}

// doors gives what a request passes before the route's handler.
func doors(route Route, authenticate gin.HandlerFunc, ownWrites *services.OwnWrites, closed bool) []gin.HandlerFunc {
	if route.Access == Credentials {
		chain := []gin.HandlerFunc{middleware.NoStore}
		if ownWrites != nil {
			chain = append(chain, middleware.OwnWrites(ownWrites, true))
		}
		return chain
	}
	chain := []gin.HandlerFunc{authenticate}
	if route.Access == SignedIn || (route.Access == Reader && closed) {
		chain = append(chain, middleware.RequireActor)
	}
	chain = append(chain, middleware.RequireScope(route.Scope))
	if route.Permission != "" {
		chain = append(chain, middleware.RequirePermission(route.Permission))
	}
	if ownWrites != nil {
		chain = append(chain, middleware.OwnWrites(ownWrites, false))
	}
	return chain
}

// exempt lists the patterns of the paths that are never refused for their number.
func exempt(table []Route, prefix string) []string {
	var patterns []string
	for _, route := range table {
		if route.Rate == services.RateExempt {
			patterns = append(patterns, bothForms(prefix+route.Path)...)
		}
	}
	return patterns
}

// bothForms gives a path without and with a slash at its end.
func bothForms(path string) []string {
	path = strings.TrimRight(path, "/")
	if path == "" {
		return []string{"/"}
	}
	return []string{path, path + "/"}
}

// resources gives the URLs of the routes that have a name.
func resources(table []Route, links handlers.Links) map[string]string {
	named := map[string]string{}
	for _, route := range table {
		if route.Name != "" {
			named[route.Name] = links.To(route.Path)
		}
	}
	return named
}

// withCORS lets pages of other origins call the API. It stands before the
// router, so that errors carry its headers too.
func withCORS(next http.Handler, origins []string) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, post, put, patch, remove},
		AllowedHeaders: []string{"Authorization", "Content-Type", "If-Match", "If-None-Match", "X-Request-Id"},
		ExposedHeaders: []string{"ETag", "Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-Id", "X-Total-Count"},
		MaxAge:         600,
	}).Handler(next)
}
