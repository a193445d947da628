package main

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// setting is one key of the configuration: a field of the Config struct of a room, found by its toml tag. The rooms own their
// options; the loader, the environment, `config show` and the document only walk over them.
type setting struct {
	key   string        // "delivery.timeouts.connect"
	doc   string        // what it means, from the doc tag
	value reflect.Value // the field itself, settable
	table bool          // an array of tables, such as delivery.routes
	names bool          // a table whose keys are names that people choose, such as aliases
}

// settingsOf lists the settings of the configuration struct that config points to: in each table the plain keys first, then the
// tables within it, as TOML must be written.
func settingsOf(config any) []setting {
	return walk("", reflect.ValueOf(config).Elem())
}

func walk(prefix string, table reflect.Value) []setting {
	var plain, nested, arrays []setting
	for i := range table.NumField() {
		field, value := table.Type().Field(i), table.Field(i)
		key := prefix + field.Tag.Get("toml")
		s := setting{key: key, doc: field.Tag.Get("doc"), value: value}
		switch {
		case isTables(field.Type):
			s.table = true
			arrays = append(arrays, s)
		case field.Type.Kind() == reflect.Map:
			s.names = true
			arrays = append(arrays, s)
		case isTable(field.Type):
			nested = append(nested, walk(key+".", value)...)
		default:
			plain = append(plain, s)
		}
	}
	return append(append(plain, nested...), arrays...)
}

// isTable says whether a field is a table of its own; structs that are written as text, such as addresses, are not.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func isTables(t reflect.Type) bool { return t.Kind() == reflect.Slice && isTable(t.Elem()) }

// section is the first part of the key.
func (s setting) section() string {
	section, _, _ := strings.Cut(s.key, ".")
	return section
}

// name is the last part of the key, and tableName what stands before it.
func (s setting) name() string { return s.key[strings.LastIndexByte(s.key, '.')+1:] }

func (s setting) tableName() string { return strings.TrimSuffix(s.key, "."+s.name()) }

// variable is the environment variable that sets s.
func (s setting) variable() string {
	return "STERNPOST_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// secret says whether the value must not be shown.
func (s setting) secret() bool {
	name := s.name()
	return name == "password" || name == "token" || name == "secrets" || strings.HasSuffix(name, "_password") || strings.HasSuffix(name, "_token")
}

// set reads text as an environment variable has it. Lists are separated by commas.
func (s setting) set(text string) error { return setValue(s.value, text) }

func setValue(v reflect.Value, text string) error {
	if reader, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := reader.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%q is not %s", text, withArticle(kindName(v.Type())))
		}
		return nil
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return setDuration(v, text)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		return setBool(v, text)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(n)
		return nil
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(f)
		return nil
	case reflect.Slice:
		return setList(v, text)
	default:
		return errors.New("can be set in the configuration file only")
	}
}

func setDuration(v reflect.Value, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 90s, 5m or 1h30m", text)
	}
	v.SetInt(int64(d))
	return nil
}

func setBool(v reflect.Value, text string) error {
	if text != "true" && text != "false" {
		return fmt.Errorf("%q is not true or false", text)
	}
	v.SetBool(text == "true")
	return nil
}

func setList(v reflect.Value, text string) error {
	list := reflect.MakeSlice(v.Type(), 0, 0)
	if strings.TrimSpace(text) != "" {
		for part := range strings.SplitSeq(text, ",") {
			element := reflect.New(v.Type().Elem()).Elem()
			if err := setValue(element, strings.TrimSpace(part)); err != nil {
				return err
			}
			list = reflect.Append(list, element)
		}
	}
	v.Set(list)
	return nil
}

// plainValue is a setting's value as TOML and JSON know it: texts, numbers, truth values and lists of them.
func plainValue(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		return plainValue(v.Elem())
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return durationText(d)
	}
	if writer, ok := v.Interface().(encoding.TextMarshaler); ok {
		// The texts of the configuration come from parsed values, which can always be written.
		text, _ := writer.MarshalText()
		return string(text)
	}
	switch v.Kind() {
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plainValue(v.Index(i))
		}
		return list
	case reflect.Map:
		values := map[string]any{}
		for _, name := range v.MapKeys() {
			values[name.String()] = plainValue(v.MapIndex(name))
		}
		return values
	case reflect.String:
		return v.String()
	default:
		return v.Interface()
	}
}

// durationText is d without the zeros that nobody writes: "15m", not "15m0s".
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// tomlText is a plain value as it is written in the file.
func tomlText(v any) string {
	switch v := v.(type) {
	case string:
		return tomlString(v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = tomlText(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// tomlString is a basic string of TOML. What is not printable becomes \uXXXX, so that the text is also safe to show.
func tomlString(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case !strconv.IsPrint(c):
			fmt.Fprintf(&b, `\U%08X`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String() + `"`
}
