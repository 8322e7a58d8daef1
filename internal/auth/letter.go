package auth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/mailer"
)

// letterKind is what somebody is written for.
type letterKind int

const (
	letterSignedIn letterKind = iota
	letterPassword            // it was changed
	letterReset               // link: set another
	letterVerify              // link: prove the address
	letterMoved               // to the address that was: it is another now
	letterSignup              // link: complete the sign-up
	letterApproved
	letterRejected
)

// letterText is a letter in one language: {site} is the server's name, {at} the
// time, {name} the account.
type letterText struct {
	subject string
	body    []string
	button  string
}

// letterTexts in Korean, the source, Japanese and English.
var letterTexts = map[string]map[letterKind]letterText{
	"ko": {
		letterSignedIn: {"새로운 로그인이 있었어요", []string{"{at}에 {site}의 @{name} 계정에 로그인했어요.", "본인이 아니라면 바로 비밀번호를 바꿔 주세요. 비밀번호를 바꾸면 모든 기기에서 로그아웃돼요."}, ""},
		letterPassword: {"비밀번호가 바뀌었어요", []string{"{site}의 @{name} 계정 비밀번호가 바뀌었고, 모든 기기에서 로그아웃됐어요.", "본인이 바꾸지 않았다면 서버 관리자에게 알려 주세요."}, ""},
		letterReset:    {"비밀번호 다시 정하기", []string{"{site}의 @{name} 계정 비밀번호를 다시 정하려면 30분 안에 아래 주소를 열어 주세요.", "요청한 적이 없다면 이 메일은 무시해도 돼요. 비밀번호는 그대로예요."}, "비밀번호 정하기"},
		letterVerify:   {"메일 주소 확인", []string{"{site}의 @{name} 계정에서 이 메일 주소를 쓰려면 하루 안에 아래 주소를 열어 주세요.", "요청한 적이 없다면 이 메일은 무시해도 돼요."}, "주소 확인하기"},
		letterMoved:    {"메일 주소가 바뀌었어요", []string{"{site}의 @{name} 계정은 이제 다른 메일 주소를 써요.", "본인이 바꾸지 않았다면 바로 비밀번호를 바꾸고 서버 관리자에게 알려 주세요."}, ""},
		letterSignup:   {"가입을 마쳐 주세요", []string{"{site}에 @{name} 계정을 만들려면 30분 안에 아래 주소를 열어 주세요.", "가입한 적이 없다면 이 메일은 무시해도 돼요. 계정은 만들어지지 않아요."}, "가입 마치기"},
		letterApproved: {"가입이 승인됐어요", []string{"{site}에 오신 것을 환영해요! 이제 @{name} 계정으로 로그인할 수 있어요."}, "로그인하기"},
		letterRejected: {"가입이 승인되지 않았어요", []string{"{site}의 관리자가 @{name} 계정의 가입을 받지 않기로 했어요. 신청할 때 적은 내용은 지웠어요."}, ""},
	},
	"ja": {
		letterSignedIn: {"新しいログインがありました", []string{"{at}に{site}の@{name}にログインがありました。", "心当たりがない場合は、すぐにパスワードを変更してください。変更すると、すべての端末からログアウトします。"}, ""},
		letterPassword: {"パスワードが変更されました", []string{"{site}の@{name}のパスワードが変更され、すべての端末からログアウトしました。", "心当たりがない場合は、サーバーの管理者に知らせてください。"}, ""},
		letterReset:    {"パスワードの再設定", []string{"{site}の@{name}のパスワードを再設定するには、30分以内に下のリンクを開いてください。", "心当たりがない場合は、このメールを無視してください。パスワードは変わりません。"}, "パスワードを設定"},
		letterVerify:   {"メールアドレスの確認", []string{"{site}の@{name}でこのメールアドレスを使うには、1日以内に下のリンクを開いてください。", "心当たりがない場合は、このメールを無視してください。"}, "アドレスを確認"},
		letterMoved:    {"メールアドレスが変更されました", []string{"{site}の@{name}は、別のメールアドレスを使うようになりました。", "心当たりがない場合は、すぐにパスワードを変更し、サーバーの管理者に知らせてください。"}, ""},
		letterSignup:   {"登録を完了してください", []string{"{site}に@{name}のアカウントを作るには、30分以内に下のリンクを開いてください。", "心当たりがない場合は、このメールを無視してください。アカウントは作られません。"}, "登録を完了"},
		letterApproved: {"登録が承認されました", []string{"{site}へようこそ！ @{name}でログインできるようになりました。"}, "ログイン"},
		letterRejected: {"登録は承認されませんでした", []string{"{site}の管理者は、@{name}の登録を受け付けないことにしました。申請の内容は削除しました。"}, ""},
	},
	"en": {
		letterSignedIn: {"A new sign-in", []string{"Somebody signed in to @{name} on {site} at {at}.", "If it was not you, change your password now: that signs out every device."}, ""},
		letterPassword: {"Your password was changed", []string{"The password of @{name} on {site} was changed, and every device was signed out.", "If it was not you, tell the people who run the server."}, ""},
		letterReset:    {"Set a new password", []string{"To set a new password for @{name} on {site}, open this link within 30 minutes.", "If you did not ask for it, you can ignore this mail: the password stays as it is."}, "Set a password"},
		letterVerify:   {"Confirm your mail address", []string{"To use this mail address with @{name} on {site}, open this link within a day.", "If you did not ask for it, you can ignore this mail."}, "Confirm the address"},
		letterMoved:    {"Your mail address was changed", []string{"@{name} on {site} uses another mail address now.", "If it was not you, change your password now and tell the people who run the server."}, ""},
		letterSignup:   {"Complete your sign-up", []string{"To make the account @{name} on {site}, open this link within 30 minutes.", "If you did not sign up, you can ignore this mail: no account is made."}, "Complete the sign-up"},
		letterApproved: {"Your sign-up was approved", []string{"Welcome to {site}! You can sign in as @{name} now."}, "Sign in"},
		letterRejected: {"Your sign-up was not approved", []string{"The people who run {site} decided not to take the account @{name}. What you wrote when you applied was deleted."}, ""},
	},
}

// language is the first of the wishes that there are texts in: "ko-KR" and
// whole Accept-Language headers are wishes too.
func language(wishes ...string) string {
	for _, wish := range wishes {
		for _, part := range strings.Split(wish, ",") {
			tag := strings.ToLower(strings.TrimSpace(part))
			if len(tag) >= 2 && letterTexts[tag[:2]] != nil && (len(tag) == 2 || tag[2] == '-' || tag[2] == ';') {
				return tag[:2]
			}
		}
	}
	return "en"
}

// fallback is the language of those who have not said theirs: the server's.
func (s *Service) fallback(wish string) string {
	return language(append([]string{wish}, s.meta.Get().Langs...)...)
}

// Language is what somebody is written to in who has said that he wants wish: a
// language there are letters in.
func (s *Service) Language(wish string) string { return s.fallback(wish) }

// letter fills a text in.
func (s *Service) letter(kind letterKind, lang, to, name, link string, until time.Time) mailer.Letter {
	site := s.meta.Host
	if n := s.meta.Get().Name; n != nil && *n != "" {
		site = *n
	}
	t := letterTexts[lang][kind]
	fill := strings.NewReplacer("{site}", site, "{name}", name, "{at}", s.now().In(s.meta.Zone).Format("2006-01-02 15:04 MST"))
	l := mailer.Letter{To: to, Lang: lang, Subject: fill.Replace(t.subject) + " - " + site, Link: link, LinkText: t.button, Footer: site + " " + s.meta.Origin, Until: until}
	for _, p := range t.body {
		l.Paragraphs = append(l.Paragraphs, fill.Replace(p))
	}
	return l
}

const sqlAddressee = `
SELECT u.username, a.email, coalesce(p.lang, '') FROM account a JOIN "user" u ON u.id = a.user_id JOIN user_profile p ON p.user_id = a.user_id
WHERE a.user_id = $1 AND a.email_verified AND a.email IS NOT NULL`

// tell writes to the account's proven address, if it has one, in its language.
func (s *Service) tell(ctx context.Context, tx *pg.Tx, userID string, kind letterKind, link string, until time.Time) error {
	if !s.mail.Ready() {
		return nil
	}
	var name, to, lang string
	if err := tx.QueryRow(ctx, sqlAddressee, userID).Scan(&name, &to, &lang); err != nil {
		if pg.NoRows(err) {
			return nil
		}
		return fmt.Errorf("addressee: %w", err)
	}
	return s.mail.Send(ctx, tx, s.letter(kind, s.fallback(lang), to, name, link, until))
}
