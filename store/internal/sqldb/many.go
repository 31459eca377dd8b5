package sqldb

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// chunk is how many things one statement is given at most: databases take no more than some ten thousand parameters.
const chunk = 500

// placeholders returns n placeholders, the first of which is number from.
func placeholders(from, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("$%d", from+i)
	}
	return strings.Join(list, ", ")
}

// appendBytes appends texts as parameters that are bytes.
func appendBytes(args []any, texts []string) []any {
	for _, text := range texts {
		args = append(args, []byte(text))
	}
	return args
}

// insertRows inserts rows into a table with its columns, in as few statements as there may be.
func insertRows(ctx context.Context, db querier, into string, rows [][]any) error {
	for some := range slices.Chunk(rows, chunk) {
		var places []string
		var args []any
		for _, row := range some {
			places = append(places, `(`+placeholders(len(args)+1, len(row))+`)`)
			args = append(args, row...)
		}
		if _, err := exec(ctx, db, `INSERT INTO `+into+` VALUES `+strings.Join(places, ", "), args...); err != nil {
			return err
		}
	}
	return nil
}
