package cli

import "slices"

// Nearest returns the known name with the fewest letters to change.
func Nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int {
		return Distance(name, a) - Distance(name, b)
	})
}

// Distance is Levenshtein's, in one row.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
