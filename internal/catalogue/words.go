package catalogue

import "buttersc.one/oven/internal/socket/errand"

// What has become of an archive.
var (
	imported       = errand.Say("Custom emoji were imported", "커스텀 이모지를 가져왔어요", "カスタム絵文字をインポートしました")
	partly         = errand.Say("Only a part of the custom emoji was imported", "커스텀 이모지를 일부만 가져왔어요", "カスタム絵文字を一部だけインポートしました")
	notImported    = errand.Say("Custom emoji could not be imported", "커스텀 이모지를 가져오지 못했어요", "カスタム絵文字をインポートできませんでした")
	notExported    = errand.Say("Custom emoji could not be exported", "커스텀 이모지를 내보내지 못했어요", "カスタム絵文字をエクスポートできませんでした")
	counts         = errand.Say("%d added, %d replaced, %d as they were, %d passed over.", "추가 %d, 교체 %d, 그대로 %d, 제외 %d.", "追加%d件、置き換え%d件、変更なし%d件、除外%d件。")
	exportedBare   = errand.Say("Custom emoji were exported, some without picture", "커스텀 이모지를 내보냈지만 그림이 없는 것이 있어요", "カスタム絵文字をエクスポートしましたが、画像のないものがあります")
	withoutPicture = errand.Say("%d of %d have no picture in the archive, and are not imported from it:",
		"%[2]d개 가운데 %[1]d개는 보관 파일에 그림이 없어서 그 파일에서 가져올 수 없어요:", "%[2]d件のうち%[1]d件はアーカイブに画像がなく、そこからインポートできません:")
)

// Why an archive or an emoji is passed over.
var (
	archiveGone = errand.Say("the archive is not in the drive any more", "보관 파일이 이제 드라이브에 없어요", "アーカイブがもうドライブにありません")
	noName      = errand.Say("that is no name for an emoji", "이모지 이름으로 쓸 수 없어요", "絵文字の名前にできません")
	madeWithout = errand.Say("the archive was made without its picture", "보관 파일을 만들 때 그림이 빠졌어요", "アーカイブを作るときに画像が入りませんでした")
	namedBefore = errand.Say("there is another of that name before it", "앞에 같은 이름의 이모지가 있어요", "前に同じ名前の絵文字があります")
	noPicture   = errand.Say("its picture is not in the archive", "그림이 보관 파일에 없어요", "画像がアーカイブにありません")
	badPicture  = errand.Say("its picture cannot be used: %s", "쓸 수 없는 그림이에요: %s", "使えない画像です: %s")
	badArchive  = errand.Say("that cannot be imported: %s", "가져올 수 없는 파일이에요: %s", "インポートできないファイルです: %s")
)
