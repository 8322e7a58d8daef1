package site

import (
	"errors"

	"golang.org/x/text/language"

	"buttersc.one/oven/internal/socket/api"
)

func asAPI(err error, e **api.Error) bool { return errors.As(err, e) }

// Korean first: it is the source language, and what unknown readers get is
// English.
var matcher = language.NewMatcher([]language.Tag{language.English, language.Korean, language.Japanese})

func languageOf(accept string) string {
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return "en"
	}
	_, i, _ := matcher.Match(tags...)
	return []string{"en", "ko", "ja"}[i]
}

// texts of the pages by language.
func texts(lang string) map[string]string {
	return map[string]map[string]string{"ko": {
		"signup": "가입하기", "needsScript": "이 페이지에는 JavaScript가 필요합니다.", "username": "사용자 이름", "password": "비밀번호", "create": "계정 만들기",
		"usernameHint": "영문자, 숫자, 밑줄(_) 1~20자", "done": "계정을 만들었습니다. Misskey 앱에서 이 주소로 로그인하세요:",
		"closed": "지금은 새 계정을 받지 않습니다.", "first": "아직 아무도 없습니다. 처음 만든 계정이 관리자가 됩니다.",
		"members": "회원", "notes": "노트", "following": "팔로잉", "followers": "팔로워", "rules": "서버 규칙", "newest": "새 노트",
		"missing": "페이지를 찾을 수 없습니다", "missingText": "주소가 잘못되었거나, 지워졌거나, 볼 수 없는 글입니다.",
		"broken": "문제가 생겼습니다", "brokenText": "잠시 뒤에 다시 시도해 주세요.", "renoted": "님이 리노트", "replies": "답글",
		"sensitive": "열람 주의", "elsewhere": "다른 서버의 계정입니다. 원래 주소:", "home": "처음으로", "votes": "표", "nothing": "아직 글이 없습니다.",
		"INVALID_USERNAME": "사용자 이름은 영문자, 숫자, 밑줄 1~20자입니다.", "INVALID_PASSWORD": "비밀번호를 입력하세요.",
		"USED_USERNAME": "쓸 수 없는 이름입니다.", "DUPLICATED_USERNAME": "이미 쓰이고 있는 이름입니다.", "REGISTRATION_CLOSED": "지금은 새 계정을 받지 않습니다.",
		"TOO_MANY_AUTHENTICATION_FAILURES": "너무 많이 시도했습니다. 나중에 다시 해 주세요.",
		"allow":                            "앱에 권한 주기", "allowed": "앱에 권한을 주었습니다. 앱으로 돌아가세요.", "unnamed": "이름 없는 앱", "asks": "이 앱이 다음 권한을 요청합니다:", "nothingAsked": "아무 권한도 요청하지 않음", "allowIt": "로그인하고 허용",
		"NO_SUCH_USER": "그런 계정이 없습니다.", "SUSPENDED": "정지된 계정입니다.", "INCORRECT_PASSWORD": "비밀번호가 맞지 않습니다.",
		"INVALID_TOKEN": "2단계 인증 코드나 백업 코드를 입력하세요.", "token": "2단계 인증 코드 또는 백업 코드",
		"invitation": "초대 코드", "email": "메일 주소", "reason": "가입하려는 이유", "closedInvite": "초대 코드가 있어야 가입할 수 있습니다.", "byApproval": "관리자가 확인한 뒤에 가입이 끝납니다.",
		"waitsMail": "메일을 보냈습니다. 30분 안에 메일의 주소를 열면 가입이 끝납니다.", "waitsApproval": "신청을 받았습니다. 관리자가 승인하면 로그인할 수 있습니다.",
		"DENIED_USERNAME": "쓸 수 없는 이름입니다.", "INVALID_INVITATION_CODE": "초대 코드가 틀렸거나, 이미 쓰였거나, 기한이 지났습니다.", "INVALID_EMAIL_ADDRESS": "메일 주소를 확인해 주세요.",
		"EMAIL_ADDRESS_USED": "다른 계정이 쓰는 메일 주소입니다.", "MAIL_NOT_AVAILABLE": "지금은 메일을 보낼 수 없어 가입을 받지 못합니다.", "REASON_REQUIRED": "가입하려는 이유를 적어 주세요.",
		"captcha": "사람인지 확인", "captchaScript": "이 서버는 가입할 때 사람인지 확인하므로 JavaScript가 필요합니다.", "CAPTCHA_FAILED": "사람인지 다시 확인해 주세요.", "CAPTCHA_UNAVAILABLE": "사람인지 확인하는 곳이 응답하지 않습니다. 잠시 뒤에 다시 해 주세요.",
		"oneTime": "인증 코드 (2단계 인증을 쓰는 경우)", "denyIt": "거부", "deniedText": "앱에 권한을 주지 않았습니다.", "askedTooLongAgo": "요청이 없거나 만료되었습니다. 앱에서 다시 시작하세요.", "badRequest": "앱의 요청이 올바르지 않습니다.",
	}, "ja": {
		"signup": "アカウント登録", "needsScript": "このページにはJavaScriptが必要です。", "username": "ユーザー名", "password": "パスワード", "create": "アカウントを作る",
		"usernameHint": "英数字と_、1〜20文字", "done": "アカウントを作りました。Misskeyのアプリからこのアドレスでログインしてください：",
		"closed": "現在、新しいアカウントは受け付けていません。", "first": "まだ誰もいません。最初に作ったアカウントが管理者になります。",
		"members": "メンバー", "notes": "ノート", "following": "フォロー", "followers": "フォロワー", "rules": "サーバールール", "newest": "新しいノート",
		"missing": "ページが見つかりません", "missingText": "アドレスが違うか、削除されたか、見ることができない投稿です。",
		"broken": "問題が起きました", "brokenText": "しばらくしてからもう一度お試しください。", "renoted": "さんがリノート", "replies": "返信",
		"sensitive": "閲覧注意", "elsewhere": "他のサーバーのアカウントです。元のアドレス：", "home": "トップへ", "votes": "票", "nothing": "まだ投稿がありません。",
		"INVALID_USERNAME": "ユーザー名は英数字と_で1〜20文字です。", "INVALID_PASSWORD": "パスワードを入力してください。",
		"USED_USERNAME": "使えない名前です。", "DUPLICATED_USERNAME": "すでに使われている名前です。", "REGISTRATION_CLOSED": "現在、新しいアカウントは受け付けていません。",
		"TOO_MANY_AUTHENTICATION_FAILURES": "試行回数が多すぎます。時間をおいてください。",
		"allow":                            "アプリを許可する", "allowed": "アプリを許可しました。アプリに戻ってください。", "unnamed": "名前のないアプリ", "asks": "このアプリは次の権限を求めています：", "nothingAsked": "権限は求められていません", "allowIt": "ログインして許可",
		"NO_SUCH_USER": "そのアカウントはありません。", "SUSPENDED": "凍結されたアカウントです。", "INCORRECT_PASSWORD": "パスワードが違います。",
		"INVALID_TOKEN": "二段階認証のコードかバックアップコードを入力してください。", "token": "二段階認証コードまたはバックアップコード",
		"invitation": "招待コード", "email": "メールアドレス", "reason": "登録したい理由", "closedInvite": "登録には招待コードが必要です。", "byApproval": "管理者が確認したあとに登録が完了します。",
		"waitsMail": "メールを送りました。30分以内にメールのリンクを開くと登録が完了します。", "waitsApproval": "申請を受け付けました。管理者が承認するとログインできます。",
		"DENIED_USERNAME": "使えない名前です。", "INVALID_INVITATION_CODE": "招待コードが違うか、使用済みか、期限切れです。", "INVALID_EMAIL_ADDRESS": "メールアドレスを確認してください。",
		"EMAIL_ADDRESS_USED": "ほかのアカウントが使っているメールアドレスです。", "MAIL_NOT_AVAILABLE": "現在メールを送れないため、登録を受け付けられません。", "REASON_REQUIRED": "登録したい理由を書いてください。",
		"captcha": "人間かどうかの確認", "captchaScript": "このサーバーは登録時に人間かどうかを確認するため、JavaScriptが必要です。", "CAPTCHA_FAILED": "人間かどうかをもう一度確認してください。", "CAPTCHA_UNAVAILABLE": "確認サービスが応答しません。しばらくしてからもう一度お試しください。",
		"oneTime": "認証コード（二段階認証を使う場合）", "denyIt": "拒否", "deniedText": "アプリを許可しませんでした。", "askedTooLongAgo": "リクエストがないか、期限が切れています。アプリからやり直してください。", "badRequest": "アプリのリクエストが正しくありません。",
	}, "en": {
		"signup": "Sign up", "needsScript": "This page needs JavaScript.", "username": "Username", "password": "Password", "create": "Create account",
		"usernameHint": "1 to 20 letters, digits or _", "done": "The account is made. Sign in with any Misskey app at:",
		"closed": "This server takes no new accounts at the moment.", "first": "Nobody is here yet. The first account becomes the administrator.",
		"members": "members", "notes": "notes", "following": "following", "followers": "followers", "rules": "Rules", "newest": "Newest notes",
		"missing": "Page not found", "missingText": "The address is wrong, or it was deleted, or you may not see it.",
		"broken": "Something went wrong", "brokenText": "Please try again in a moment.", "renoted": "renoted", "replies": "Replies",
		"sensitive": "Sensitive", "elsewhere": "An account of another server. Its own page:", "home": "Home", "votes": "votes", "nothing": "Nothing here yet.",
		"INVALID_USERNAME": "A username has 1 to 20 letters, digits or _.", "INVALID_PASSWORD": "The password must not be empty.",
		"USED_USERNAME": "That name cannot be had.", "DUPLICATED_USERNAME": "That name is taken.", "REGISTRATION_CLOSED": "This server takes no new accounts at the moment.",
		"TOO_MANY_AUTHENTICATION_FAILURES": "Too many attempts. Try again later.",
		"allow":                            "Let an app in", "allowed": "The app has been let in. Go back to it.", "unnamed": "An app without a name", "asks": "The app asks to:", "nothingAsked": "do nothing", "allowIt": "Sign in and allow",
		"NO_SUCH_USER": "There is no such account.", "SUSPENDED": "The account is suspended.", "INCORRECT_PASSWORD": "The password is not right.",
		"INVALID_TOKEN": "Give the code of your authenticator, or a backup code.", "token": "Code of the authenticator, or a backup code",
		"invitation": "Invitation code", "email": "Mail address", "reason": "Why you would like to be here", "closedInvite": "You need an invitation to sign up.", "byApproval": "A moderator lets new accounts in.",
		"waitsMail": "A mail is on its way. Open its link within 30 minutes to complete the sign-up.", "waitsApproval": "Thank you. You can sign in once a moderator has let you in.",
		"DENIED_USERNAME": "That name cannot be had.", "INVALID_INVITATION_CODE": "The invitation is not right, was used, or is too old.", "INVALID_EMAIL_ADDRESS": "Please check the mail address.",
		"EMAIL_ADDRESS_USED": "Another account has that mail address.", "MAIL_NOT_AVAILABLE": "The server cannot send mail at the moment, and so takes no new accounts.", "REASON_REQUIRED": "Say why you would like to be here.",
		"captcha": "Show that you are a person", "captchaScript": "This server asks who signs up to show that they are a person, which takes JavaScript.", "CAPTCHA_FAILED": "Show once more that you are a person.", "CAPTCHA_UNAVAILABLE": "Whoever tells people from programs does not answer. Try again later.",
		"oneTime": "One-time code (if you use two-factor sign-in)", "denyIt": "Deny", "deniedText": "The app has not been let in.", "askedTooLongAgo": "There is no such request any more. Start again from the app.", "badRequest": "The app's request is not valid.",
	}}[lang]
}
