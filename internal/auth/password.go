package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"buttersc.one/oven/internal/lib/pg"
)

// ErrIncorrect says that the password is not the account's.
var ErrIncorrect = errors.New("incorrect password")

// Argon2id parameters: OWASP's second choice, 19 MiB.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
	argonKey     = 32
)

// hashing bounds how many hashes are computed at a time, each with 19 MiB.
var hashing = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))

func hashPassword(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	key := argon(password, salt, argonTime, argonMemory, argonThreads)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		enc.EncodeToString(salt), enc.EncodeToString(key)), nil
}

func argon(password string, salt []byte, time, memory uint32, threads uint8) []byte {
	hashing <- struct{}{}
	defer func() { <-hashing }()
	return argon2.IDKey([]byte(password), salt, time, memory, threads, argonKey)
}

// checkPassword compares with a hash of this server (argon2id) or of Misskey
// (bcrypt); stale tells that it should be hashed anew.
func checkPassword(hash, password string) (ok, stale bool) {
	if strings.HasPrefix(hash, "$2") {
		p := []byte(password)
		if len(p) > 72 {
			p = p[:72] // as bcryptjs did when the hash was made
		}
		return bcrypt.CompareHashAndPassword([]byte(hash), p) == nil, true
	}
	var version int
	var m, t uint32
	var threads uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, false
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &m, &t, &threads); err != nil {
		return false, false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil {
		return false, false
	}
	ok = subtle.ConstantTimeCompare(argon(password, salt, t, m, threads), want) == 1
	return ok, t != argonTime || m != argonMemory || threads != argonThreads
}

const (
	sqlPassword = `SELECT password_hash FROM account WHERE user_id = $1`
	sqlRehash   = `UPDATE account SET password_hash = $2 WHERE user_id = $1 AND password_hash = $3`
)

// Check verifies an account's password; ErrIncorrect when it is another. A
// hash made the old way is made anew.
func (s *Service) Check(ctx context.Context, userID, password string) error {
	var hash string
	if err := s.db.QueryRow(ctx, sqlPassword, userID).Scan(&hash); err != nil {
		if pg.NoRows(err) {
			return ErrIncorrect
		}
		return fmt.Errorf("password: %w", err)
	}
	ok, stale := checkPassword(hash, password)
	if !ok {
		return ErrIncorrect
	}
	if stale {
		fresh, err := hashPassword(password)
		if err != nil {
			return err
		}
		if _, err := s.db.Exec(ctx, sqlRehash, userID, fresh, hash); err != nil {
			return fmt.Errorf("password: %w", err)
		}
	}
	return nil
}
