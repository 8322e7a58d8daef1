package site

import (
	"slices"
	"strings"
)

// What permissions mean, in Korean, Japanese and English: things that are read
// and changed, and acts that have a sentence of their own.
var (
	permissionThings = map[string][3]string{
		"account": {"계정 정보", "アカウントの情報", "your account"}, "blocks": {"차단 목록", "ブロック", "whom you block"},
		"drive": {"드라이브 파일", "ドライブのファイル", "your drive"}, "favorites": {"즐겨찾기", "お気に入り", "your favorites"},
		"following": {"팔로우", "フォロー", "whom you follow"}, "messaging": {"메시지", "メッセージ", "your messages"},
		"mutes": {"뮤트 목록", "ミュート", "whom you mute"}, "notifications": {"알림", "通知", "your notifications"},
		"reactions": {"리액션", "リアクション", "your reactions"}, "pages": {"페이지", "ページ", "your pages"},
		"page-likes": {"페이지의 좋아요", "ページのいいね", "the pages you like"}, "user-groups": {"그룹", "グループ", "your groups"},
		"channels": {"채널", "チャンネル", "your channels"}, "gallery": {"갤러리", "ギャラリー", "your gallery"},
		"gallery-likes": {"갤러리의 좋아요", "ギャラリーのいいね", "the gallery posts you like"}, "flash": {"Play", "Play", "your Plays"},
		"flash-likes": {"Play의 좋아요", "Playのいいね", "the Plays you like"}, "invite-codes": {"초대 코드", "招待コード", "your invite codes"},
		"clip-favorite": {"즐겨찾는 클립", "お気に入りのクリップ", "the clips you like"}, "chat": {"채팅", "チャット", "your chats"},
		"federation": {"연합 정보", "連合の情報", "what is known of other servers"}, "notes": {"노트", "ノート", "your notes"},
	}
	permissionAdmin = map[string][3]string{
		"abuse-user-reports": {"신고", "通報", "reports"}, "index-stats": {"데이터베이스 색인", "データベースのインデックス", "the database's indexes"},
		"table-stats": {"데이터베이스 표", "データベースのテーブル", "the database's tables"}, "user-ips": {"사용자의 IP 주소", "ユーザーのIPアドレス", "the addresses of accounts"},
		"meta": {"서버 설정", "サーバーの設定", "the server's settings"}, "server-info": {"서버 정보", "サーバーの情報", "the machine"},
		"show-moderation-log": {"관리 기록", "モデレーションの記録", "the moderation log"}, "show-user": {"사용자의 비공개 정보", "ユーザーの非公開情報", "private details of accounts"},
		"roles": {"역할", "ロール", "roles"}, "relays": {"릴레이", "リレー", "relays"}, "invite-codes": {"초대 코드", "招待コード", "invite codes"},
		"announcements": {"공지", "お知らせ", "announcements"}, "avatar-decorations": {"아바타 장식", "アイコンデコレーション", "avatar decorations"},
		"account": {"사용자 계정", "ユーザーのアカウント", "accounts"}, "emoji": {"커스텀 이모지", "カスタム絵文字", "custom emoji"},
		"queue": {"작업 대기열", "ジョブキュー", "the job queue"}, "drive": {"사용자의 드라이브", "ユーザーのドライブ", "the drives of accounts"},
		"ad": {"광고", "広告", "ads"}, "federation": {"다른 서버와의 연합", "他サーバーとの連合", "federation"},
		"user-note": {"사용자에 대한 메모", "ユーザーについてのメモ", "notes about accounts"}, "promo": {"홍보 노트", "プロモーションノート", "promoted notes"},
	}
	permissionActs = map[string][3]string{
		"write:notes": {"노트를 쓰고 지우기", "ノートを書く・消す", "write and delete notes"}, "write:votes": {"투표하기", "投票する", "vote in polls"},
		"write:reactions":                        {"리액션하기", "リアクションする", "react to notes"},
		"write:report-abuse":                     {"신고하기", "通報する", "report others"},
		"write:notifications":                    {"알림 보내기와 읽음 표시", "通知の送信と既読", "send you notifications and mark them as read"},
		"write:admin:delete-account":             {"사용자 계정 지우기", "ユーザーのアカウントを消す", "delete accounts"},
		"write:admin:delete-all-files-of-a-user": {"사용자의 모든 파일 지우기", "ユーザーの全ファイルを消す", "delete all files of an account"},
		"write:admin:reset-password":             {"사용자의 비밀번호 초기화", "ユーザーのパスワードをリセットする", "reset passwords"},
		"write:admin:resolve-abuse-user-report":  {"신고 처리하기", "通報を処理する", "resolve reports"},
		"write:admin:send-email":                 {"메일 보내기", "メールを送る", "send mail"},
		"write:admin:suspend-user":               {"사용자 정지", "ユーザーを凍結する", "suspend accounts"},
		"write:admin:unsuspend-user":             {"사용자 정지 해제", "ユーザーの凍結を解く", "lift suspensions"},
		"write:admin:unset-user-avatar":          {"사용자의 아바타 지우기", "ユーザーのアイコンを消す", "remove avatars"},
		"write:admin:unset-user-banner":          {"사용자의 배너 지우기", "ユーザーのバナーを消す", "remove banners"},
	}
)

// permissionText is what a permission lets an app do. One that does not exist,
// which older apps may name, is shown as it is.
func permissionText(lang, permission string) string {
	at := max(0, slices.Index([]string{"ko", "ja", "en"}, lang))
	if act, ok := permissionActs[permission]; ok {
		return admin(lang, permission) + act[at]
	}
	verb, noun, _ := strings.Cut(permission, ":")
	things := permissionThings
	rest, isAdmin := strings.CutPrefix(noun, "admin:")
	if isAdmin {
		noun, things = rest, permissionAdmin
	}
	thing, ok := things[noun]
	form := map[string][3]string{"read": {"%s 보기", "%sを見る", "see %s"}, "write": {"%s 바꾸기", "%sを変える", "change %s"}}[verb]
	if !ok || form[at] == "" {
		return permission
	}
	return admin(lang, permission) + strings.Replace(form[at], "%s", thing[at], 1)
}

// admin marks what only moderators can do.
func admin(lang, permission string) string {
	if !strings.Contains(permission, ":admin:") {
		return ""
	}
	return map[string]string{"ko": "관리: ", "ja": "管理：", "en": "As a moderator: "}[lang]
}
