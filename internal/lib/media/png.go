package media

import (
	"encoding/binary"
	"io"
	"strings"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// Chunks of PNG that tell how to show the picture (PNG third edition §11).
var pngKept = map[string]bool{"IHDR": true, "PLTE": true, "IDAT": true, "IEND": true, "acTL": true, "fcTL": true, "fdAT": true, "tRNS": true, "gAMA": true, "cHRM": true,
	"sRGB": true, "iCCP": true, "sBIT": true, "cICP": true, "mDCV": true, "cLLI": true, "pHYs": true, "bKGD": true, "hIST": true, "sPLT": true}

// stripPNG leaves out texts, dates, EXIF and private chunks, and what follows
// the end.
func stripPNG(r io.Reader, w io.Writer) error {
	magic := make([]byte, len(pngMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return err
	}
	if string(magic) != pngMagic {
		return ErrBroken
	}
	if _, err := w.Write(magic); err != nil {
		return err
	}
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		n, kind := int64(binary.BigEndian.Uint32(head[:]))+4, string(head[4:]) // 4: its checksum
		if n > 1<<31 || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return ErrBroken
		}
		to := io.Discard
		if pngKept[kind] {
			to = w
			if _, err := w.Write(head[:]); err != nil {
				return err
			}
		}
		if _, err := io.CopyN(to, r, n); err != nil {
			return err
		}
		if kind == "IEND" {
			return nil
		}
	}
}
