package main

import (
	"strings"
	"unicode/utf8"
)

// gap lies between two columns.
const gap = "  "

// table returns rows as lines whose columns are aligned, without blanks at
// their ends. A cell is cut to limits[column] characters, where there is one.
func table(rows [][]string, limits ...int) []string {
	var widths []int
	for _, row := range rows {
		for i := range row {
			if i < len(limits) {
				row[i] = fit(row[i], limits[i])
			}
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	lines := make([]string, 0, len(rows))
	for _, row := range rows {
		lines = append(lines, aligned(row, widths))
	}
	return lines
}

func aligned(row []string, widths []int) string {
	var line strings.Builder
	for i, cell := range row {
		line.WriteString(cell)
		line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		line.WriteString(gap)
	}
	return strings.TrimRight(line.String(), " ")
}
