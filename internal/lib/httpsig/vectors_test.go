package httpsig_test

import (
	"bufio"
	"crypto"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/httpsig"
)

// The keys of RFC 9421 appendix B.1.
const (
	keyPSS = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----`
	keyP256 = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----`
	keyEd25519 = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----`
	keyEd25519Private = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----`
)

// testRequest is the request of appendix B.2.
const testRequest = `POST /foo?param=Value&Pet=dog HTTP/1.1
Host: example.com
Date: Tue, 20 Apr 2021 02:07:55 GMT
Content-Type: application/json
Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:
Content-Length: 18
`

const clientCert = `:MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:`

const (
	transformInput = `transform=("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519"`
	transformSig   = `transform=:ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==:`
)

// wire reads a request as a server would.
func wire(t *testing.T, text string) *http.Request {
	t.Helper()
	text = strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func publicKey(t *testing.T, pem string) crypto.PublicKey {
	t.Helper()
	k, err := httpsig.ParsePublicKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestRFC9421AppendixB checks the signed requests of appendix B.2 and B.3.
// B.2.5 signs with a shared secret, which this package does not know.
func TestRFC9421AppendixB(t *testing.T) {
	for _, c := range []struct{ name, request, input, signature, key, authority string }{
		{"B.2.1", testRequest,
			`sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"`,
			`sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==:`,
			keyPSS, "example.com"},
		{"B.2.2", testRequest,
			`sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"`,
			`sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==:`,
			keyPSS, "example.com"},
		{"B.2.3", testRequest,
			`sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"`,
			`sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:`,
			keyPSS, "example.com"},
		{"B.2.6", testRequest,
			`sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`,
			`sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:`,
			keyEd25519, "example.com"},
		{"B.3", strings.Replace(testRequest, "Host: example.com", "Client-Cert: "+clientCert+"\nHost: service.internal.example", 1),
			`ttrp=("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256"`,
			`ttrp=:xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==:`,
			keyP256, "service.internal.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := wire(t, c.request+"Signature-Input: "+c.input+"\nSignature: "+c.signature+"\n")
			if err := httpsig.VerifyOnly(r, publicKey(t, c.key), c.authority); err != nil {
				base, _ := httpsig.Base(r, "https", c.authority)
				t.Errorf("%v\n%s", err, base)
			}
			r.Header.Set("Signature-Input", strings.Replace(c.input, "1618884473", "1618884474", 1))
			if err := httpsig.VerifyOnly(r, publicKey(t, c.key), c.authority); !errors.Is(err, httpsig.ErrInvalid) {
				t.Errorf("another time: %v", err)
			}
		})
	}
}

// TestRFC9421AppendixB24 checks the signed text of appendix B.2.4: it is of a
// response, which Parse does not read.
func TestRFC9421AppendixB24(t *testing.T) {
	base := strings.Join([]string{
		`"@status": 200`,
		`"content-type": application/json`,
		`"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:`,
		`"content-length": 23`,
		`"@signature-params": ("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"`,
	}, "\n")
	sig, _ := base64.StdEncoding.DecodeString("wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==")
	if err := httpsig.CheckMessage(publicKey(t, keyP256), "ecdsa-p256-sha256", base, sig); err != nil {
		t.Error(err)
	}
}

// TestRFC9421AppendixB4 checks which transformations a signature survives.
func TestRFC9421AppendixB4(t *testing.T) {
	signed := "\nSignature-Input: " + transformInput + "\nSignature: " + transformSig + "\n"
	for _, c := range []struct {
		name, request, authority string
		valid                    bool
	}{
		{"as signed", "GET /demo?name1=Value1&Name2=value2 HTTP/1.1\nHost: example.org\nDate: Fri, 15 Jul 2022 14:24:55 GMT\nAccept: application/json\nAccept: */*", "example.org", true},
		{"query and header added", "GET /demo?name1=Value1&Name2=value2&param=added HTTP/1.1\nHost: example.org\nDate: Fri, 15 Jul 2022 14:24:55 GMT\nAccept: application/json\nAccept: */*\nAccept-Language: en-US,en;q=0.5", "example.org", true},
		{"lines joined", "GET /demo?name1=Value1&Name2=value2 HTTP/1.1\nHost: example.org\nReferer: https://developer.example.org/demo\nAccept: application/json, */*", "example.org", true},
		{"order of others", "GET /demo?name1=Value1&Name2=value2 HTTP/1.1\nAccept: application/json\nAccept: */*\nDate: Fri, 15 Jul 2022 14:24:55 GMT\nHost: example.org", "example.org", true},
		{"method and host", "POST /demo?name1=Value1&Name2=value2 HTTP/1.1\nHost: example.com\nDate: Fri, 15 Jul 2022 14:24:55 GMT\nAccept: application/json\nAccept: */*", "example.com", false},
		{"order of a field", "GET /demo?name1=Value1&Name2=value2 HTTP/1.1\nHost: example.org\nDate: Fri, 15 Jul 2022 14:24:55 GMT\nAccept: */*\nAccept: application/json", "example.org", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := httpsig.VerifyOnly(wire(t, c.request+signed), publicKey(t, keyEd25519), c.authority)
			if c.valid && err != nil || !c.valid && !errors.Is(err, httpsig.ErrInvalid) {
				t.Error(err)
			}
		})
	}
}

// TestRFC9421Components checks the values of RFC 9421 §2.1 and §2.2.
func TestRFC9421Components(t *testing.T) {
	for _, c := range []struct{ request, component, want string }{
		{"POST /path?param=value HTTP/1.1\nHost: www.example.com", `"@method"`, "POST"},
		{"POST /path?param=value HTTP/1.1\nHost: www.example.com", `"@target-uri"`, "https://www.example.com/path?param=value"},
		{"POST /path?param=value HTTP/1.1\nHost: www.example.com", `"@authority"`, "www.example.com"},
		{"POST /path?param=value HTTP/1.1\nHost: www.example.com", `"@scheme"`, "https"},
		{"POST /path?param=value HTTP/1.1\nHost: www.example.com", `"@request-target"`, "/path?param=value"},
		{"GET https://www.example.com/path?param=value HTTP/1.1\nHost: www.example.com", `"@path"`, "/path"},
		{"POST /path?param=value HTTP/1.1\nHost: www.example.com", `"@path"`, "/path"},
		{"POST /a%2Fb%7e HTTP/1.1\nHost: www.example.com", `"@path"`, "/a%2Fb%7e"},
		{"POST /path?param=value&foo=bar&baz=bat%2Dman HTTP/1.1\nHost: www.example.com", `"@query"`, "?param=value&foo=bar&baz=bat%2Dman"},
		{"POST /path?queryString HTTP/1.1\nHost: www.example.com", `"@query"`, "?queryString"},
		{"POST /path? HTTP/1.1\nHost: www.example.com", `"@query"`, "?"},
		{"POST /path HTTP/1.1\nHost: www.example.com", `"@query"`, "?"},
		{"GET /parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something HTTP/1.1\nHost: www.example.com", `"@query-param";name="var"`, "this%20is%20a%20big%0Amultiline%20value"},
		{"GET /parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something HTTP/1.1\nHost: www.example.com", `"@query-param";name="bar"`, "with%20plus%20whitespace"},
		{"GET /parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something HTTP/1.1\nHost: www.example.com", `"@query-param";name="fa%C3%A7ade%22%3A%20"`, "something"},
		{"GET / HTTP/1.1\nHost: www.example.com\nX-Empty-Header:", `"x-empty-header"`, ""},
		{"GET / HTTP/1.1\nHost: www.example.com\nCache-Control: max-age=60\nCache-Control:    must-revalidate", `"cache-control"`, "max-age=60, must-revalidate"},
	} {
		r := wire(t, c.request+"\nSignature-Input: sig=("+c.component+`);keyid="k"`+"\nSignature: sig=:AAAA:\n")
		got, err := httpsig.Base(r, "https", "www.example.com")
		want := c.component + ": " + c.want + "\n" + `"@signature-params": (` + c.component + `);keyid="k"`
		if err != nil || got != want {
			t.Errorf("got %q, %v\nwant %q", got, err, want)
		}
	}
	for _, c := range []string{`"@status"`, `"@unknown"`, `"missing"`, `"date";sf`, `"@method";req`, `"@query-param"`, `"@query-param";name="a"`,
		`"@query-param";name="b"`, `"@method" "@method"`, `"Date"`, `"@query-param";name="c";req`} {
		r := wire(t, "GET /?a=1&a=2&c=1 HTTP/1.1\nHost: x\nDate: x\nSignature-Input: sig=("+c+`);keyid="k"`+"\nSignature: sig=:AAAA:\n")
		if base, err := httpsig.Base(r, "https", "x"); !errors.Is(err, httpsig.ErrMalformed) {
			t.Errorf("%s: %q, %v", c, base, err)
		}
	}
}

// TestRFC9530 checks the digests of RFC 9530 appendix B.
func TestRFC9530(t *testing.T) {
	const body = "{\"hello\": \"world\"}\n"
	for _, c := range []struct {
		header, body string
		ok           bool
	}{
		{"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", body, true},
		{"sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", "", true},
		{"sha-256=:jjcgBDWNAtbYUXI37CVG3gRuGOAjaaDRGpIUFsdyepQ=:", "\"hello\": \"world\"", false},
		{"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:", `{"hello": "world"}`, true},
		{"unknown=:AAAA:, sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", body, true},
		{"sha-512=:AAAA:, sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", body, false},
		{"sha-256=:AAAA:, sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", body, false},
		{"md5=:AAAA:", body, false},
		{"sha-256=1", body, false},
		{"sha-256=(:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:)", body, false},
		{"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", body + "x", false},
		{"", body, false},
		{"=", body, false},
	} {
		if err := httpsig.CheckContentDigest([]string{c.header}, []byte(c.body)); (err == nil) != c.ok || err != nil && !errors.Is(err, httpsig.ErrDigest) {
			t.Errorf("%q of %q: %v", c.header, c.body, err)
		}
	}
	if got := httpsig.ContentDigest([]byte(body)); got != "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:" {
		t.Error(got)
	}
}
