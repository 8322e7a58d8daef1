/** What the server's answers look like, as far as the client reads them. */

export type Visibility = 'public' | 'home' | 'followers' | 'specified';

export interface UserLite {
	id: string;
	name: string | null;
	username: string;
	host: string | null;
	avatarUrl: string;
	isBot?: boolean;
	isCat?: boolean;
	emojis: Record<string, string>;
	instance?: { name: string | null };
	avatarDecorations?: Worn[];
}

/** A decoration as an account wears it: turned by angle turns, moved by shares of the picture. */
export interface Worn { id: string; url: string; angle?: number; flipH?: boolean; offsetX?: number; offsetY?: number }

export interface User extends UserLite {
	url: string | null;
	createdAt: string;
	bannerUrl: string | null;
	isLocked: boolean;
	description: string | null;
	location: string | null;
	birthday: string | null;
	fields: { name: string; value: string }[];
	followersCount: number;
	followingCount: number;
	notesCount: number;
	pinnedNotes: Note[];
	isFollowing?: boolean;
	isFollowed?: boolean;
	hasPendingFollowRequestFromYou?: boolean;
	hasPendingFollowRequestToYou?: boolean;
	isBlocking?: boolean;
	isBlocked?: boolean;
	isMuted?: boolean;
	isRenoteMuted?: boolean;
}

export interface Me extends User {
	isModerator: boolean;
	isAdmin: boolean;
	avatarId: string | null;
	bannerId: string | null;
	unreadNotificationsCount: number;
	hasUnreadMentions: boolean;
	hasPendingReceivedFollowRequest: boolean;
	lang: string | null;
	followedMessage: string | null;
	alsoKnownAs: string[] | null;
	movedTo: string | null;
	autoAcceptFollowed: boolean;
	carefulBot: boolean;
	followingVisibility: ListVisibility;
	followersVisibility: ListVisibility;
	publicReactions: boolean;
	hideOnlineStatus: boolean;
	noCrawle: boolean;
	preventAiLearning: boolean;
	isExplorable: boolean;
	alwaysMarkNsfw: boolean;
	receiveAnnouncementEmail: boolean;
	emailNotificationTypes: string[];
	requireSigninToViewContents?: boolean;
	makeNotesFollowersOnlyBefore?: number | null;
	makeNotesHiddenBefore?: number | null;
	mutedWords: (string | string[])[];
	hardMutedWords: (string | string[])[];
	mutedInstances: string[];
	notificationRecieveConfig: Record<string, { type: string; userListId?: string }>;
	twoFactorEnabled: boolean;
	twoFactorBackupCodesStock: 'full' | 'partial' | 'none';
	usePasswordLessLogin: boolean;
	securityKeysList?: { id: string; name: string; lastUsed: string }[];
	email?: string | null;
	emailVerified?: boolean;
	policies: { avatarDecorationLimit: number; wordMuteLimit: number; canSearchNotes: boolean; canManageCustomEmojis: boolean; canCreateChannel: boolean; canUseTranslator?: boolean; canImportFollowing?: boolean; canImportUserLists?: boolean; canImportMuting?: boolean; canImportBlocking?: boolean; canImportAntennas?: boolean };
	roles?: { id: string; name: string }[];
}

export type ListVisibility = 'public' | 'followers' | 'private';

export interface DriveFile {
	id: string;
	type: string;
	name: string;
	url: string;
	thumbnailUrl: string | null;
	comment: string | null;
	isSensitive: boolean;
	properties: { width?: number; height?: number };
}

export interface Poll {
	multiple: boolean;
	expiresAt: string | null;
	choices: { text: string; votes: number; isVoted: boolean }[];
}

export interface Note {
	id: string;
	createdAt: string;
	updatedAt?: string;
	userId: string;
	user: UserLite;
	text: string | null;
	cw: string | null;
	visibility: Visibility;
	localOnly: boolean;
	visibleUserIds?: string[];
	renoteCount: number;
	repliesCount: number;
	reactions: Record<string, number>;
	reactionEmojis: Record<string, string>;
	emojis?: Record<string, string>;
	files: DriveFile[];
	replyId: string | null;
	renoteId: string | null;
	reply?: Note;
	renote?: Note;
	poll?: Poll;
	myReaction?: string | null;
	url?: string | null;
	uri?: string | null;
	isHidden?: boolean;
	/** Only notes of channels have one. */
	channelId?: string;
	channel?: NoteChannel;
	/** Which reactions its author wants. */
	reactionAcceptance?: string | null;
}

/** What a note tells of its channel. */
export interface NoteChannel { id: string; name: string; color: string; allowRenoteToExternal?: boolean; userId?: string | null }

export interface Channel extends NoteChannel {
	createdAt: string;
	lastNotedAt: string | null;
	description: string | null;
	bannerUrl: string | null;
	bannerId: string | null;
	pinnedNoteIds: string[];
	isArchived: boolean;
	usersCount: number;
	notesCount: number;
	isSensitive: boolean;
	allowRenoteToExternal: boolean;
	userId: string | null;
	isFollowing?: boolean;
	isFavorited?: boolean;
	isMuting?: boolean;
	pinnedNotes?: Note[];
}

export interface Notification {
	id: string;
	createdAt: string;
	type: string;
	isRead?: boolean;
	userId?: string;
	user?: UserLite;
	note?: Note;
	reaction?: string;
	/** Of an app, or of the server itself. */
	header?: string | null;
	body?: string;
}

export interface CustomEmoji {
	name: string;
	aliases: string[];
	category: string | null;
	url: string;
	isSensitive?: boolean;
	localOnly?: boolean;
	/** Whose holders alone may react with it; nobody's: everybody may. */
	roleIdsThatCanBeUsedThisEmojiAsReaction?: string[];
}

/** What the server's page tells the client, so that nothing has to be asked first. */
export interface Boot {
	name: string;
	host: string;
	lang: string;
	description: string;
	/** An invitation is needed to sign up. */
	closed: boolean;
	/** An address is needed to sign up. */
	mail: boolean;
	/** A moderator lets new accounts in. */
	approval: boolean;
	/** The server can write to those who forgot their password. */
	sendsMail: boolean;
	rules: string[];
	/** Links are shown with what is behind them. */
	previews?: boolean;
	/** Somebody is there to translate. */
	translates?: boolean;
	/** Who asks whether one is a person. */
	captchas?: string[];
	/** The key by which push services know the server; "" where it tells no browsers. */
	push: string;
}

/** Whether a note only passes another one on. */
export function isPureRenote(n: Note): boolean {
	return n.renoteId !== null && n.text === null && n.cw === null && n.files.length === 0 && !n.poll;
}

/** The name by which an account is written, "@bora" or "@bora@b.example". */
export function acct(u: { username: string; host: string | null }): string {
	return u.host === null ? `@${u.username}` : `@${u.username}@${u.host}`;
}
