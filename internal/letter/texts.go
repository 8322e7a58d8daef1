package letter

// text is a letter of unread notifications in one language: {n} is how many there are,
// {who} names accounts, {more} is how many are not named.
type text struct {
	subject, intro string
	kinds          map[string]string // by the notification's type
	other          string            // of types that have no words of their own
	and            string
	button, footer string
	news           string // what the footer of an announcement says
}

// texts in Korean, the source, Japanese and English.
var texts = map[string]text{
	"ko": {
		subject: "읽지 않은 알림이 {n}개 있어요", intro: "{site}의 @{name} 계정에 아직 읽지 않은 알림이 {n}개 있어요.",
		kinds: map[string]string{
			"follow": "{who} 님이 팔로우했어요.", "receiveFollowRequest": "{who} 님이 팔로우를 요청했어요.", "mention": "{who} 님이 나를 언급했어요.",
			"reply": "{who} 님이 답글을 남겼어요.", "quote": "{who} 님이 내 노트를 인용했어요.",
		},
		other: "{who} 님에게서 알림이 왔어요.", and: "{who} 외 {more}명", button: "알림 보기", footer: "이 메일을 받고 싶지 않다면 설정에서 끌 수 있어요:",
		news: "공지 메일을 받고 싶지 않다면 설정에서 끌 수 있어요:",
	},
	"ja": {
		subject: "未読の通知が{n}件あります", intro: "{site}の@{name}に、まだ読んでいない通知が{n}件あります。",
		kinds: map[string]string{
			"follow": "{who}さんにフォローされました。", "receiveFollowRequest": "{who}さんからフォローリクエストが届きました。", "mention": "{who}さんがあなたについて投稿しました。",
			"reply": "{who}さんから返信がありました。", "quote": "{who}さんがあなたのノートを引用しました。",
		},
		other: "{who}さんから通知がありました。", and: "{who}さんほか{more}人", button: "通知を見る", footer: "このメールは設定で止められます:",
		news: "お知らせのメールは設定で止められます:",
	},
	"en": {
		subject: "You have {n} unread notifications", intro: "@{name} on {site} has {n} notifications that you have not read yet.",
		kinds: map[string]string{
			"follow": "{who} followed you.", "receiveFollowRequest": "{who} asked to follow you.", "mention": "{who} mentioned you.",
			"reply": "{who} replied to you.", "quote": "{who} quoted a note of yours.",
		},
		other: "There is something from {who}.", and: "{who} and {more} more", button: "See the notifications", footer: "You can turn these letters off in your settings:",
		news: "You can turn letters of announcements off in your settings:",
	},
}
