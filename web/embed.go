// Package web holds the client that make web has built, as one binary carries it.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Client is the built client: .vite/manifest.json and assets/. It is empty
// where the client was not built.
func Client() fs.FS {
	sub, err := fs.Sub(dist, "dist/app")
	if err != nil {
		panic(err) // the path is a constant
	}
	return sub
}
