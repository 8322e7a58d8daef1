package transfer

import (
	"buttersc.one/oven/internal/list"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/socket/errand"
)

// titles of what is carried, in what people are told.
var titles = map[string]errand.Text{
	notes:     errand.Say("Your notes", "내 노트", "自分のノート"),
	favorites: errand.Say("Your favourites", "내 즐겨찾기", "お気に入り"),
	clips:     errand.Say("Your clips", "내 클립", "クリップ"),
	antennas:  errand.Say("Antennas", "안테나", "アンテナ"),
	userLists: errand.Say("Lists", "리스트", "リスト"),
	following: errand.Say("Accounts to follow", "팔로우할 계정", "フォローするアカウント"),
	muting:    errand.Say("Accounts to mute", "뮤트할 계정", "ミュートするアカウント"),
	blocking:  errand.Say("Accounts to block", "차단할 계정", "ブロックするアカウント"),
}

// What has become of it.
var (
	imported    = errand.Say("imported", "가져왔어요", "インポートしました")
	partly      = errand.Say("only a part was imported", "일부만 가져왔어요", "一部だけインポートしました")
	notImported = errand.Say("not imported", "가져오지 못했어요", "インポートできませんでした")
	notExported = errand.Say("not exported", "내보내지 못했어요", "エクスポートできませんでした")
	counts      = errand.Say("%d added, %d as they were, %d left out.", "추가 %d, 그대로 %d, 제외 %d.", "追加%d件、変更なし%d件、除外%d件。")
)

// Why nothing comes of it, or nothing more.
var (
	accountUnused = errand.Say("the account is not in use any more", "더는 쓰지 않는 계정이에요", "もう使われていないアカウントです")
	fileGone      = errand.Say("the file is not in the drive any more", "파일이 이제 드라이브에 없어요", "ファイルがもうドライブにありません")
	fileLarge     = errand.Say("the file is too large", "파일이 너무 커요", "ファイルが大きすぎます")
	stopped       = errand.Say("it was stopped by those who look after the server", "서버 관리자가 멈췄어요", "サーバーの管理者が止めました")
	unknownOut    = errand.Say("this server does not know how to export that", "이 서버가 내보낼 줄 모르는 것이에요", "このサーバーではエクスポートできないものです")
	unknownIn     = errand.Say("this server does not know how to import that", "이 서버가 가져올 줄 모르는 것이에요", "このサーバーではインポートできないものです")
)

// Why an account is left out.
var (
	noAccount    = errand.Say("there is no such account", "그런 계정이 없어요", "そのアカウントはありません")
	accountGone  = errand.Say("the account is gone", "없어진 계정이에요", "なくなったアカウントです")
	thatIsYou    = errand.Say("that is you", "자기 자신이에요", "自分自身です")
	notAnswering = errand.Say("its server does not answer", "그 서버가 답하지 않아요", "相手のサーバーが応答しません")
	notTelling   = errand.Say("its server does not tell of it", "그 서버가 알려 주지 않아요", "相手のサーバーが教えてくれません")
	notDealtWith = errand.Say("this server has nothing to do with its server", "이 서버가 차단한 서버예요", "このサーバーがブロックしているサーバーです")
	couldNot     = errand.Say("the server could not do it", "서버가 하지 못했어요", "サーバーにできませんでした")
	blocksYou    = errand.Say("the account blocks you", "나를 차단한 계정이에요", "自分をブロックしているアカウントです")
)

// refusals are why an account is left out, by what those say who refuse it.
var refusals = []struct {
	err error
	why errand.Text
}{
	{relation.ErrBlocked, blocksYou},
	{relation.ErrBlocking, errand.Say("you block the account", "내가 차단한 계정이에요", "自分がブロックしているアカウントです")},
	{relation.ErrUnreachable, errand.Say("its server cannot be told", "그 서버에 알릴 수 없어요", "相手のサーバーに知らせることができません")},
	{list.ErrBlocked, blocksYou},
	{list.ErrFull, errand.Say("the list is full", "리스트가 가득 찼어요", "リストがいっぱいです")},
	{list.ErrLimit, errand.Say("you have as many lists as you may", "리스트를 더 만들 수 없어요", "リストをこれ以上作れません")},
	{list.ErrNoUser, accountGone},
}

// Why a line is left out.
var (
	longLine      = errand.Say("the line is too long", "줄이 너무 길어요", "行が長すぎます")
	halfLine      = errand.Say("there is a list without an account, or an account without a list", "리스트나 계정 하나가 빠졌어요", "リストかアカウントのどちらかがありません")
	namelessList  = errand.Say("the list has no name", "리스트 이름이 없어요", "リストの名前がありません")
	noAcct        = errand.Say("that is no account", "계정이 아니에요", "アカウントではありません")
	noServerNamed = errand.Say("it does not say on which server", "어느 서버인지 적혀 있지 않아요", "どのサーバーか書かれていません")
	noServer      = errand.Say("that is no server", "서버가 아니에요", "サーバーではありません")
)

// Why an antenna is left out, or all of them.
var (
	noAntennas    = errand.Say("the file is no list of antennas", "안테나 목록 파일이 아니에요", "アンテナの一覧のファイルではありません")
	moreAntennas  = errand.Say("there are more antennas in the file than you may keep", "가질 수 있는 것보다 안테나가 많아요", "持てる数より多くのアンテナがあります")
	noAntenna     = errand.Say("that is no antenna", "안테나가 아니에요", "アンテナではありません")
	noAntennaName = errand.Say("that is no name for an antenna", "안테나 이름으로 쓸 수 없어요", "アンテナの名前にできません")
	strangeSource = errand.Say("it is for something that this server does not know", "이 서버가 모르는 것을 모으는 안테나예요", "このサーバーが知らないものを集めるアンテナです")
)
