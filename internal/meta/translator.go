package meta

// TranslatorSettings are who translates notes. The keys for DeepL are Misskey's,
// the others those that its forks use.
type TranslatorSettings struct {
	DeeplAuthKey      *string `json:"deeplAuthKey"`      // sealed in the database
	DeeplIsPro        bool    `json:"deeplIsPro"`        // the key is one of the paid plan
	DeeplFreeMode     bool    `json:"deeplFreeMode"`     // ask the server at DeeplFreeInstance instead of DeepL's
	DeeplFreeInstance *string `json:"deeplFreeInstance"` // address of a server that speaks as DeepL or as DeepLX
	LibreTranslateURL *string `json:"libreTranslateURL"` // of a LibreTranslate server
	LibreTranslateKey *string `json:"libreTranslateKey"` // sealed in the database
}

// Translates tells whether somebody is there to translate.
func (t *TranslatorSettings) Translates() bool {
	if t.DeeplFreeMode {
		return filled(t.DeeplFreeInstance) || filled(t.LibreTranslateURL)
	}
	return filled(t.DeeplAuthKey) || filled(t.LibreTranslateURL)
}

func filled(s *string) bool { return s != nil && *s != "" }
