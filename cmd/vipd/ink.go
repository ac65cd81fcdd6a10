package main

// ink colours a line (ECMA-48 §8.3.117), or leaves it as it is.
type ink struct{ on bool }

func (i ink) bold(line string) string   { return i.dye("1", line) }
func (i ink) green(line string) string  { return i.dye("1;32", line) }
func (i ink) yellow(line string) string { return i.dye("33", line) }
func (i ink) red(line string) string    { return i.dye("1;31", line) }

func (i ink) dye(code, line string) string {
	if !i.on {
		return line
	}
	return "\x1b[" + code + "m" + line + "\x1b[0m"
}
