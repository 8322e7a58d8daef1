package errand

import "fmt"

// Text is something that is told, in the languages that people are written to in.
type Text struct{ en, ko, ja string }

// Say is a text in English, Korean and Japanese.
func Say(en, ko, ja string) Text { return Text{en, ko, ja} }

// Plain is a text that there are no other words for.
func Plain(text string) Text { return Text{text, text, text} }

// With is a text with its numbers filled in, as fmt does it.
func (t Text) With(a ...any) Text {
	return Text{fmt.Sprintf(t.en, a...), fmt.Sprintf(t.ko, a...), fmt.Sprintf(t.ja, a...)}
}

// In is the text in a language, or in English.
func (t Text) In(lang string) string {
	switch lang {
	case "ko":
		return t.ko
	case "ja":
		return t.ja
	}
	return t.en
}

// String is the text in English, for logs.
func (t Text) String() string { return t.en }

// None tells whether there is nothing to be told.
func (t Text) None() bool { return t == Text{} }

// refused are errors of the API that an errand may end with, by their codes.
var refused = map[string]Text{
	"NO_FREE_SPACE":          Say("Your drive is full.", "드라이브가 가득 찼어요.", "ドライブがいっぱいです。"),
	"MAX_FILE_SIZE_EXCEEDED": Say("The file is larger than your role allows.", "역할이 허용하는 것보다 큰 파일이에요.", "ロールで許されるより大きなファイルです。"),
	"EMPTY_KEYWORD":          Say("An antenna needs a keyword, or one to leave out.", "안테나에는 키워드나 제외할 키워드가 있어야 해요.", "アンテナにはキーワードか除外キーワードが必要です。"),
	"TOO_MANY_ANTENNAS":      Say("No more antennas can be kept.", "안테나를 더 가질 수 없어요.", "これ以上アンテナを持てません。"),
}

// Refused is what an error of the API says, by its code and message.
func Refused(code, message string) Text {
	if t, ok := refused[code]; ok {
		return t
	}
	return Plain(message)
}
