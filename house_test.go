// Package house holds the rules that the whole repository keeps. They are tests that read the files themselves: a child process such as
// `go list` would be answered from the test cache.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "sternpost"

// plan says which packages of ours each package may import: imports point one way. A package that is not here has no place in the
// house yet.
func plan() map[string][]string {
	return map[string][]string{
		".":                   {},
		"mail":                {},
		"resolver/dnstest":    {},
		"delivery/smtptest":   {},
		"resolver":            {"mail"},
		"tlspolicy":           {"mail"},
		"dsn":                 {"mail"},
		"journal":             {"mail"},
		"bounce":              {"mail", "journal"},
		"webhook":             {"mail", "journal"},
		"delivery":            {"mail", "resolver", "tlspolicy"},
		"queue":               {"mail", "journal", "bounce", "dsn"},
		"queue/spool":         {"mail", "journal", "queue"},
		"queue/postgres":      {"mail", "journal", "queue"},
		"queue/storetest":     {"mail", "journal", "queue"},
		"submission":          {"mail", "queue"},
		"console":             {"mail", "journal", "queue", "bounce"},
		"console/openapitest": {},
		"lab":                 {"mail", "resolver/dnstest", "delivery/smtptest"},
		"cmd/sternpost":       {"*"},
		"test/bench":          {"*"},
		"test/crash":          {"*"},
		"test/interop":        {"*"},
	}
}

// testRooms may be imported by every test.
func testRooms() []string {
	return []string{"resolver/dnstest", "delivery/smtptest", "queue/storetest", "console/openapitest"}
}

// homes says where a foreign package may be imported, so that it can be replaced by changing one place.
func homes() map[string][]string {
	smtp := []string{"submission", "delivery", "delivery/smtptest", "lab"}
	return map[string][]string{
		"github.com/miekg/dns":        {"resolver", "resolver/dnstest"},
		"github.com/emersion/go-smtp": smtp,
		"github.com/emersion/go-sasl": smtp,
		"github.com/cockroachdb":      {"queue/spool"},
	}
}

// source is one Go file, parsed.
type source struct {
	path   string // with slashes, from the root
	folder string
	file   *ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) imports() []string {
	var list []string
	for _, spec := range s.file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value) // the parser has accepted it
		list = append(list, name)
	}
	return list
}

// files lists the paths of the repository that end in suffix; not those of test data and tools.
func files(t *testing.T, suffix string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." {
			if base := entry.Name(); base == "testdata" || base == "bin" || strings.HasPrefix(base, ".") {
				return filepath.SkipDir
			}
		}
		if !entry.IsDir() && strings.HasSuffix(name, suffix) {
			list = append(list, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func sources(t *testing.T, mode parser.Mode) ([]source, *token.FileSet) {
	t.Helper()
	set := token.NewFileSet()
	var list []source
	for _, name := range files(t, ".go") {
		file, err := parser.ParseFile(set, name, nil, mode)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, source{path: name, folder: path.Dir(name), file: file})
	}
	return list, set
}

func TestImportsPointOneWay(t *testing.T) {
	list, _ := sources(t, parser.ImportsOnly)
	for _, s := range list {
		allowed, planned := plan()[s.folder]
		if !planned {
			t.Errorf("%s: the package %s is not on the plan of the house", s.path, s.folder)
			continue
		}
		if s.isTest() {
			allowed = slices.Concat(allowed, testRooms(), []string{s.folder})
		}
		for _, name := range s.imports() {
			ours, ok := strings.CutPrefix(name, module+"/")
			if ok && !slices.Contains(allowed, ours) && !slices.Contains(allowed, "*") {
				t.Errorf("%s imports %s; %s may import only %v", s.path, ours, s.folder, allowed)
			}
		}
	}
}

func TestForeignPackagesStayAtHome(t *testing.T) {
	list, _ := sources(t, parser.ImportsOnly)
	for _, s := range list {
		for _, name := range s.imports() {
			for foreign, folders := range homes() {
				within := name == foreign || strings.HasPrefix(name, foreign+"/")
				if within && !slices.Contains(folders, s.folder) {
					t.Errorf("%s imports %s, whose home is %v", s.path, name, folders)
				}
			}
		}
	}
}

func TestFoldersHaveASubject(t *testing.T) {
	refused := []string{"internal", "pkg", "util", "utils", "common", "types", "helpers", "misc"}
	for _, name := range files(t, "") {
		for part := range strings.SplitSeq(path.Dir(name), "/") {
			if slices.Contains(refused, part) {
				t.Errorf("%s: a folder is named by its subject, not %q", name, part)
			}
		}
	}
}

// A function of more than a hundred lines cannot be read at one sight.
func TestFunctionsAreShort(t *testing.T) {
	const most = 100
	list, set := sources(t, parser.SkipObjectResolution)
	for _, s := range list {
		for _, declaration := range s.file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			length := set.Position(function.End()).Line - set.Position(function.Pos()).Line + 1
			if length > most {
				t.Errorf("%s: %s has %d lines, more than %d", s.path, function.Name.Name, length, most)
			}
		}
	}
}

// A file is one station of the path. Tests may be longer: they are lists.
func TestFilesAreShort(t *testing.T) {
	const most = 500
	for _, name := range files(t, ".go") {
		if n := strings.Count(read(t, name), "\n"); n > most && !strings.HasSuffix(name, "_test.go") {
			t.Errorf("%s has %d lines, more than %d", name, n, most)
		}
	}
}

// A variable of a package holds what never changes (an error, a pattern, an embedded file) or has no state that could be seen (a pool); "_" holds nothing.
func TestNoPackageVariables(t *testing.T) {
	list, set := sources(t, parser.SkipObjectResolution|parser.ParseComments)
	for _, s := range list {
		for _, declaration := range s.file.Decls {
			general, ok := declaration.(*ast.GenDecl)
			if !ok || general.Tok != token.VAR || s.isTest() || embeds(general.Doc) {
				continue
			}
			for _, spec := range general.Specs {
				values := spec.(*ast.ValueSpec)
				if values.Names[0].Name != "_" && (len(values.Values) == 0 || slices.ContainsFunc(values.Values, mayChange)) {
					t.Errorf("%s: the package has a variable %s", set.Position(values.Pos()), values.Names[0].Name)
				}
			}
		}
	}
}

// embeds says whether a declaration is filled with a file by the compiler, which needs a variable.
func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// mayChange is false of the few values that variables of packages may have.
func mayChange(value ast.Expr) bool {
	made := value
	switch v := value.(type) {
	case *ast.CallExpr:
		made = v.Fun
	case *ast.CompositeLit:
		made = v.Type
	}
	selector, ok := made.(*ast.SelectorExpr)
	if !ok {
		return true
	}
	from, ok := selector.X.(*ast.Ident)
	return !ok || !slices.Contains([]string{"errors.New", "regexp.MustCompile", "sync.Pool"}, from.Name+"."+selector.Sel.Name)
}

// Tests do not wait for the clock: a bubble of testing/synctest has a clock that runs ahead, so sleeping is allowed in files that use it.
func TestNobodySleeps(t *testing.T) {
	list, set := sources(t, parser.SkipObjectResolution)
	for _, s := range list {
		if !s.isTest() || slices.Contains(s.imports(), "testing/synctest") {
			continue
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			if selector, ok := node.(*ast.SelectorExpr); ok && selector.Sel.Name == "Sleep" {
				if name, ok := selector.X.(*ast.Ident); ok && name.Name == "time" {
					t.Errorf("%s: a test sleeps on the real clock", set.Position(selector.Pos()))
				}
			}
			return true
		})
	}
}

// link finds the target of [text](target), without its anchor.
var link = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)

func TestDocumentsLinkToWhatExists(t *testing.T) {
	for _, name := range files(t, ".md") {
		for _, match := range link.FindAllStringSubmatch(read(t, name), -1) {
			target := match[1]
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, target)
			}
		}
	}
}

// named finds what a document calls a file of the repository: a path in backquotes with an ending.
var named = regexp.MustCompile("`([a-z][a-zA-Z0-9_.-]*/[a-zA-Z0-9_./-]*\\.(?:go|md|txtar|sh))`")

func TestDocumentsNameFilesThatExist(t *testing.T) {
	for _, name := range files(t, ".md") {
		for _, match := range named.FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.FromSlash(match[1])); err != nil {
				t.Errorf("%s names the file %s, which is not there", name, match[1])
			}
		}
	}
}

var (
	cited    = regexp.MustCompile(`RFC (\d+)`)
	standard = regexp.MustCompile(`(?m)^\| ([0-9, ]+) \| .* \| .* \| (.*) \|$`)
	quoted   = regexp.MustCompile("`([^`]+)`")
)

// The table of docs/rfc.md says all that the code cites, and nothing that it does not. The test rooms are not part of the agent.
func TestStandardsAreListed(t *testing.T) {
	citing := map[string]map[string]bool{} // files by RFC
	for _, name := range files(t, ".go") {
		if strings.HasSuffix(name, "_test.go") || slices.Contains(testRooms(), path.Dir(name)) || strings.HasPrefix(name, "test/") {
			continue
		}
		for _, match := range cited.FindAllStringSubmatch(read(t, name), -1) {
			if citing[match[1]] == nil {
				citing[match[1]] = map[string]bool{}
			}
			citing[match[1]][name] = true
		}
	}
	listed := map[string]bool{}
	for _, row := range standard.FindAllStringSubmatch(read(t, "docs/rfc.md"), -1) {
		numbers := strings.Split(row[1], ", ")
		for _, number := range numbers {
			listed[number] = true
		}
		for _, match := range quoted.FindAllStringSubmatch(row[2], -1) {
			if !slices.ContainsFunc(numbers, func(number string) bool { return citing[number][match[1]] }) {
				t.Errorf("docs/rfc.md names %s for RFC %s, which it does not cite", match[1], row[1])
			}
		}
	}
	for number, names := range citing {
		if !listed[number] {
			t.Errorf("RFC %s has no row in docs/rfc.md, but is cited in %v", number, slices.Sorted(maps.Keys(names)))
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
