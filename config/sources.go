package config

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/joho/godotenv"
)

// EnvPrefix begins the name of every variable.
const EnvPrefix = "DUETO_"

// Sources finds settings that no flag sets: in the environment, then in a .env
// file. It plugs into the command line's parser.
type Sources struct {
	environment func(string) (string, bool)
	dotenv      string
	file        map[string]string
	problems    problems
	origin      map[string]string
}

// NewSources reads the .env file in the working directory, if there is one.
func NewSources(dotenv string) (*Sources, error) {
	s := &Sources{environment: os.LookupEnv, dotenv: dotenv, origin: map[string]string{}}
	file, err := godotenv.Read(dotenv)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// The parser's own message may quote the line, and a secret with it.
		return nil, fmt.Errorf("%s cannot be read as lines of NAME=value", dotenv)
	}
	s.file = file
	for _, name := range unknownNames(maps.Keys(file)) {
		s.problems.unless(false, dotenv, "there is no setting %s", name)
	}
	return s, nil
}

// unknownVariables lists the variables that look like settings and are none.
func (s *Sources) unknownVariables() []string {
	return unknownNames(func(yield func(string) bool) {
		for _, line := range os.Environ() {
			if name, _, _ := strings.Cut(line, "="); !yield(name) {
				return
			}
		}
	})
}

// SuperuserPassword is the one variable that is no setting of the server.
const SuperuserPassword = EnvPrefix + "SUPERUSER_PASSWORD"

// unknownNames gives those that begin like a setting's and are none's, sorted.
func unknownNames(names iter.Seq[string]) []string {
	known := map[string]bool{SuperuserPassword: true}
	for _, f := range settingFlags(new(Config)) {
		known[Env(f.Name)] = true
	}
	var list []string
	for name := range names {
		if strings.HasPrefix(name, EnvPrefix) && !known[name] {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// settingFlags lists the flags that are settings.
func settingFlags(c *Config) []*kong.Flag {
	parser, err := kong.New(c)
	if err != nil {
		panic(err) // the tags of Config are at fault, in every process alike
	}
	return slices.DeleteFunc(parser.Model.Flags, func(f *kong.Flag) bool { return f.Group == nil }) // --help
}

// Env gives the variable's name for a setting.
func Env(setting string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// negative is what a number below 0, or such a time, begins with.
var negative = regexp.MustCompile(`^-\.?[0-9]`)

// Options are the parser's: the resolver, and decoders that note what cannot
// be read and go on, so that all of it can be reported at once.
func (s *Sources) Options() []kong.Option {
	defaults := kong.NewRegistry().RegisterDefaults()
	tolerant := func(t reflect.Type) kong.Option {
		inner := defaults.ForType(t)
		return kong.TypeMapper(t, kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
			next := ctx.Scan.Peek()
			if text, ok := next.Value.(string); ok && negative.MatchString(text) { // and no flag, which it looks like
				next = kong.Token{Value: text, Type: kong.FlagValueToken}
				ctx.Scan.Pop()
				ctx.Scan.PushToken(next)
			}
			if !next.IsValue() { // it is left to be read as what it is
				s.problems.unless(false, ctx.Value.Name, "a value is missing")
				return nil
			}
			if err := inner.Decode(ctx, target); err != nil {
				s.problems.unless(false, ctx.Value.Name, "%v", err)
			}
			return nil
		}))
	}
	return []kong.Option{
		kong.Resolvers(s),
		tolerant(reflect.TypeFor[time.Duration]()),
		tolerant(reflect.TypeFor[int]()),
	}
}

// Validate implements kong.Resolver.
func (s *Sources) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (s *Sources) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	name := Env(flag.Name)
	s.origin[flag.Name] = "default"           // asked only where there is no flag
	if v, _ := s.environment(name); v != "" { // an empty one is how compose files pass on nothing
		s.origin[flag.Name] = "environment"
		return v, nil
	}
	if v, ok := s.file[name]; ok {
		s.origin[flag.Name] = ".env"
		return v, nil
	}
	return nil, nil
}

// Check reports all that is wrong: what could not be read, and what was read
// and makes no sense.
func (s *Sources) Check(c *Config) error { return s.all(c).err() }

func (s *Sources) all(c *Config) problems {
	all := slices.Clone(s.problems)
	for _, p := range c.problems() {
		if !s.problems.about(p.setting) { // its value is not the one that was typed
			all = append(all, p)
		}
	}
	return all
}

// Setting is a setting in force.
type Setting struct {
	Name, Value, From string
}

// InForce lists every setting with its value, secrets masked, and where it is
// from: flag, environment, .env or default.
func (s *Sources) InForce(flags []*kong.Flag) []Setting {
	var list []Setting
	for _, f := range flags {
		if f.Group == nil { // --help
			continue
		}
		hide := mask
		if strings.HasPrefix(f.Name, "database") {
			hide = maskDatabase
		}
		var value string
		switch v := f.Target.Interface().(type) {
		case []string:
			value = strings.Join(maskAll(v, hide), ",")
		case []KeySource:
			value = strings.Join(maskAll(v, KeySource.String), ",")
		default:
			value = hide(fmt.Sprint(v))
		}
		from, ok := s.origin[f.Name]
		if !ok {
			from = "flag"
		}
		list = append(list, Setting{f.Name, value, from})
	}
	return list
}

// Markdown gives the settings as a table, for the documentation.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| flag | variable | default | what it does |\n| --- | --- | --- | --- |\n")
	for _, f := range settingFlags(new(Config)) {
		value := ""
		if f.Default != "" {
			value = "`" + f.Default + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", f.Name, Env(f.Name), value, f.Help)
	}
	return b.String()
}

// Default gives the settings that are in force where nothing is set.
func Default() Config {
	var c Config
	parser, err := kong.New(&c)
	if err == nil {
		_, err = parser.Parse(nil)
	}
	if err != nil {
		panic(err) // the tags above are at fault, in every process alike
	}
	return c
}
