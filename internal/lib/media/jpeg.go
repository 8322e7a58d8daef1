package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

// Markers of JPEG (ITU-T T.81 §B.1).
const (
	markSOI = 0xd8
	markEOI = 0xd9
	markSOS = 0xda
	markAPP = 0xe0
	markCOM = 0xfe
)

// segments calls f for each segment of a JPEG before the first scan; f ends it
// by false.
func segments(r *bufio.Reader, f func(marker byte, payload []byte) (bool, error)) error {
	var soi [2]byte
	if _, err := io.ReadFull(r, soi[:]); err != nil {
		return err
	}
	if soi != [2]byte{0xff, markSOI} {
		return ErrBroken
	}
	for {
		marker, payload, err := segment(r)
		if err != nil {
			return err
		}
		if more, err := f(marker, payload); err != nil || !more {
			return err
		}
	}
}

// segment reads a marker and its payload.
func segment(r *bufio.Reader) (marker byte, payload []byte, err error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	if b != 0xff {
		return 0, nil, ErrBroken
	}
	for marker = 0xff; marker == 0xff; { // fill bytes
		if marker, err = r.ReadByte(); err != nil {
			return 0, nil, err
		}
	}
	payload, err = payloadOf(r, marker)
	return marker, payload, err
}

func payloadOf(r *bufio.Reader, marker byte) ([]byte, error) {
	if marker == markEOI || marker == 0x01 || marker >= 0xd0 && marker <= 0xd8 {
		return nil, nil
	}
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n < 2 {
		return nil, ErrBroken
	}
	payload := make([]byte, n-2)
	_, err := io.ReadFull(r, payload)
	return payload, err
}

// orientation reads how a JPEG is to be turned; 1 when nothing says so.
func orientation(r io.Reader) int {
	turn := 1
	_ = segments(bufio.NewReader(io.LimitReader(r, measured)), func(marker byte, payload []byte) (bool, error) {
		if marker == markAPP+1 && bytes.HasPrefix(payload, []byte("Exif\x00\x00")) {
			turn = exifOrientation(payload[6:])
			return false, nil
		}
		return marker != markSOS && marker != markEOI, nil
	})
	return turn
}

// exifOrientation reads tag 0x0112 of the first directory (TIFF 6.0 §2).
func exifOrientation(b []byte) int {
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if b[0] == 'I' {
		order = binary.LittleEndian
	}
	at := uint64(order.Uint32(b[4:]))
	if at+2 > uint64(len(b)) {
		return 1
	}
	n := uint64(order.Uint16(b[at:]))
	for e := at + 2; n > 0 && e+12 <= uint64(len(b)); n, e = n-1, e+12 {
		if order.Uint16(b[e:]) == 0x0112 {
			if v := int(order.Uint16(b[e+8:])); v >= 1 && v <= 8 {
				return v
			}
		}
	}
	return 1
}

// turned is an EXIF segment that tells nothing but how to turn the picture.
func turned(orientation int) []byte {
	return []byte{0xff, markAPP + 1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8,
		0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, byte(orientation), 0, 0, 0, 0, 0, 0}
}

// stripJPEG leaves out comments and what applications wrote, but colour and
// orientation, and what follows the end.
func stripJPEG(r io.Reader, w io.Writer) error {
	in, out := bufio.NewReader(r), bufio.NewWriter(w)
	put := func(marker byte, payload []byte) {
		_, _ = out.Write([]byte{0xff, marker, byte((len(payload) + 2) >> 8), byte(len(payload) + 2)})
		_, _ = out.Write(payload) // Flush tells
	}
	_, _ = out.Write([]byte{0xff, markSOI})
	turn, wrote := 1, false
	err := segments(in, func(marker byte, payload []byte) (bool, error) {
		app := marker >= markAPP && marker <= markAPP+15
		switch {
		case marker == markAPP+1 && bytes.HasPrefix(payload, []byte("Exif\x00\x00")):
			turn = exifOrientation(payload[6:])
		case marker == markCOM, app && !keptApp(marker, payload):
		case marker == markEOI || marker == markSOI || payload == nil:
			return false, ErrBroken
		default:
			if !app && turn > 1 && !wrote { // behind JFIF, which must be first
				_, _ = out.Write(turned(turn))
				wrote = true
			}
			put(marker, payload)
			return marker != markSOS, nil
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := scans(in, out, put); err != nil {
		return err
	}
	return out.Flush()
}

func keptApp(marker byte, payload []byte) bool {
	switch marker {
	case markAPP:
		return bytes.HasPrefix(payload, []byte("JFIF\x00"))
	case markAPP + 2:
		return bytes.HasPrefix(payload, []byte("ICC_PROFILE\x00"))
	case markAPP + 14:
		return bytes.HasPrefix(payload, []byte("Adobe"))
	}
	return false
}

// scans copies entropy-coded data and the segments between, to the end of the
// picture. What is cut off ends where it was cut off.
func scans(in *bufio.Reader, out *bufio.Writer, put func(byte, []byte)) error {
	end := func(err error) error {
		if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // both are given as they are
			_, err = out.Write([]byte{0xff, markEOI})
		}
		return err
	}
	for {
		data, err := in.ReadSlice(0xff)
		_, _ = out.Write(bytes.TrimSuffix(data, []byte{0xff}))
		if err == bufio.ErrBufferFull { //nolint:errorlint // as documented
			continue
		}
		if err != nil {
			return end(err)
		}
		marker := byte(0xff)
		for marker == 0xff {
			if marker, err = in.ReadByte(); err != nil {
				return end(err)
			}
		}
		switch {
		case marker == 0 || marker >= 0xd0 && marker <= 0xd7: // a stuffed byte, a restart
			_, _ = out.Write([]byte{0xff, marker})
		case marker == markEOI:
			_, err := out.Write([]byte{0xff, markEOI})
			return err
		default:
			payload, err := payloadOf(in, marker)
			if err != nil {
				return end(err)
			}
			if payload != nil && marker != markCOM && (marker < markAPP || marker > markAPP+15) {
				put(marker, payload)
			}
		}
	}
}
