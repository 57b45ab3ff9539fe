"""Every sentence of the pages, in Japanese and English, by key.

The words of outcomes, refusals, events and states come with their values (protocol.outcomes, errors.py and desk.py
beside this file); here is what the pages themselves say. A key that the templates use and the catalogue lacks is an
error, and so is a key that nobody uses; a test holds both. In an advice each line is one step.
"""

from typing import Final, Literal

Language = Literal["ja", "en"]
LANGUAGES: Final[tuple[Language, Language]] = ("ja", "en")

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # The frame
    "app.name": ("本人確認端末", "Identity confirmation terminal"),
    "app.subtitle": ("本人確認情報 即時提供", "Immediate provision of resident-identity information"),
    "app.skip": ("本文へ移動", "Skip to the content"),
    "app.nav": ("主なメニュー", "Main menu"),
    "app.terminal": ("端末", "Terminal"),
    "app.connected": ("センター接続中", "Centre connected"),
    "app.disconnected": ("センター未接続", "Centre not connected"),
    "app.other-language": ("English", "日本語"),
    "app.lock": ("画面ロック", "Lock"),
    "app.sign-out": ("サインアウト", "Sign out"),
    "app.notices": ("センターからのお知らせ", "Notices from the centre"),
    "app.test-environment": (
        "試験環境です。表示はすべて合成データで、実在の人物のものではありません。",
        "Test environment. Everything shown is synthetic data and about no real person.",
    ),
    "app.synthetic": ("合成データ（実在の人物ではありません）", "Synthetic data (no real person)"),
    "app.lock-soon": ("操作がないため、まもなく画面をロックします。残り", "No activity: the screen locks in"),
    "app.stay": ("作業を続ける", "Keep working"),
    "app.footer": (
        "表示した情報は目的の事務以外に使えません。離席するときは画面をロックしてください。",
        "What is shown may be used for the named affair only. Lock the screen when you leave it.",
    ),
    "nav.search": ("照会", "Inquiry"),
    "nav.answers": ("表示中の回答", "Answers held"),
    "nav.approvals": ("承認", "Approvals"),
    "nav.waiting": ("件の承認待ち", "waiting"),
    "nav.receipts": ("受領証", "Receipts"),
    "nav.forms": ("帳票管理簿", "Register of forms"),
    "nav.history": ("操作履歴", "My history"),
    "nav.users": ("利用者管理", "Users"),
    # Forms
    "form.must": ("※必須", "required"),
    "form.may": ("任意", "optional"),
    "form.error": ("エラー：", "Error: "),
    "form.summary": ("入力内容を確認してください", "Please check what you entered"),
    "field.code": ("住民票コード", "Resident record code"),
    "field.name": ("氏名", "Name"),
    "field.address": ("住所", "Address"),
    "field.birth": ("生年月日", "Date of birth"),
    "field.sex": ("性別", "Sex"),
    "field.case": ("案件番号", "Case reference"),
    "field.affair": ("事務", "Affair"),
    "field.step": ("段階", "Step"),
    "field.staff": ("取扱者", "Staff member"),
    "field.approval": ("承認", "Approval"),
    "field.reason": ("理由", "Reason"),
    "field.copies": ("部数", "Copies"),
    "field.how": ("廃棄の方法", "Way of disposal"),
    "sex.0": ("指定しない", "Not given"),
    "sex.1": ("男", "Male"),
    "sex.2": ("女", "Female"),
    "wrong.pair": ("事務と段階を選んでください", "Choose the affair and its step"),
    "wrong.case-missing": ("案件番号を入力してください", "Enter the case reference"),
    "wrong.case": ("案件番号は40文字以内で入力してください", "Enter a case reference of 40 characters at most"),
    "wrong.code-missing": ("住民票コードを入力してください", "Enter the resident record code"),
    "wrong.code": ("住民票コードは11桁の数字で入力してください", "Enter the resident record code as 11 figures"),
    "wrong.name-missing": ("氏名を入力してください", "Enter the name"),
    "wrong.name": (
        "氏名は100文字以内で、改行などを含めずに入力してください",
        "Enter a name of 100 characters at most, without line breaks",
    ),
    "wrong.address-missing": ("住所を入力してください", "Enter the address"),
    "wrong.address": (
        "住所は200文字以内で、改行などを含めずに入力してください",
        "Enter an address of 200 characters at most, without line breaks",
    ),
    "wrong.birth": (
        "生年月日は「昭和50年5月3日」「S50.5.3」「1975-05-03」のように入力してください",
        "Enter the date of birth like 1975-05-03, S50.5.3 or 昭和50年5月3日",
    ),
    "wrong.sex": ("性別を選び直してください", "Choose the sex again"),
    "wrong.reason-missing": ("理由を入力してください", "Enter the reason"),
    "wrong.reason": ("理由は短く入力してください", "Enter a shorter reason"),
    "wrong.receipt-missing": ("受領証のファイルを選んでください", "Choose a receipt file"),
    # Signing in
    "sign-in.title": ("サインイン", "Sign in"),
    "sign-in.lead": (
        "利用者番号と暗証番号を入力し、次の画面で認証コードを入力します。",
        "Enter your user and PIN; the next page asks for the code of your authenticator.",
    ),
    "sign-in.user": ("利用者番号", "User"),
    "sign-in.pin": ("暗証番号", "PIN"),
    "sign-in.pin-hint": (
        "続けて誤ると利用者は停止されます。ほかの人に知らせないでください。",
        "Repeated errors lock the user. Never tell it to anybody.",
    ),
    "sign-in.next": ("次へ", "Next"),
    "sign-in.out": (
        "サインアウトしました。表示していた情報は消去しました。",
        "You are signed out. What was shown has been erased.",
    ),
    "factor.title": ("認証コードの入力", "Enter the code"),
    "factor.lead": (
        "認証アプリに表示されている6桁の認証コードを入力してください。",
        "Enter the six figures that your authenticator shows.",
    ),
    "factor.code": ("認証コード", "Code"),
    "factor.hint": (
        "30秒ごとに変わります。一度使ったコードは使えません。",
        "It changes every 30 seconds and works once.",
    ),
    "factor.back": ("最初からやり直す", "Begin again"),
    "locked.title": ("画面をロックしています", "The screen is locked"),
    "locked.lead": (
        "表示していた情報は消去しました。暗証番号で解除できます。",
        "What was shown has been erased. Your PIN unlocks the screen.",
    ),
    "locked.hint": ("利用者 {user} の暗証番号を入力してください。", "Enter the PIN of {user}."),
    "locked.unlock": ("ロックを解除", "Unlock"),
    # The work
    "work.title": ("取り扱う事務を選ぶ", "Choose the affair"),
    "work.lead": (
        "本人確認情報は、ここで選ぶ事務の処理に限って照会できます。",
        "Resident-identity information may be asked for the affair chosen here, and for nothing else.",
    ),
    "work.now": ("取扱中の事務", "Affair in hand"),
    "work.pair": ("事務と段階", "Affair and step"),
    "work.affair": ("事務", "Affair"),
    "work.step": ("段階", "Step"),
    "work.case": ("案件番号", "Case reference"),
    "work.case-hint": ("例：2026-TR-000123", "Example: 2026-TR-000123"),
    "work.change": ("事務・案件を変更", "Change affair or case"),
    "work.go": ("照会へ進む", "Go on to the inquiry"),
    # Asking
    "search.title": ("本人確認情報の照会", "Inquiry"),
    "search.lead": ("申請書に書かれたとおりに入力してください。", "Enter what the application says, as it says it."),
    "search.ways": ("照会の方法", "Ways to ask"),
    "search.by-name": ("氏名・住所で照会", "By name and address"),
    "search.by-code": ("住民票コードで照会", "By resident record code"),
    "search.code-hint": (
        "11桁の数字（全角・空白・ハイフンも使えます）",
        "11 figures; spaces and hyphens may stand between them",
    ),
    "search.name-hint": (
        "漢字またはカナ。異体字（異体字セレクタを含む）は入力したまま照会します。",
        "In kanji or kana. Variant characters are asked as entered, variation selectors included.",
    ),
    "search.address-hint": (
        "市区町村から番地まで。都道府県は省略できます。「一丁目2番3号」「1-2-3」のどちらでも照会できます。",
        "From the municipality to the house number; the prefecture may be left out. 一丁目2番3号 is 1-2-3.",
    ),
    "search.birth-hint": (
        "和暦または西暦。例：昭和50年5月3日、S50.5.3、1975-05-03",
        "By era or western year. Examples: 1975-05-03, S50.5.3, 昭和50年5月3日",
    ),
    "search.go": ("照会する", "Ask"),
    "search.note": (
        "照会は操作履歴に記録されます。回答が提供された場合は手数料がかかります。同じ画面から続けて送信しても、照会は1回です。",
        "The inquiry is recorded. A record provided is charged. Sending the same form twice asks once.",
    ),
    # The answer
    "answer.title": ("照会結果", "Answer"),
    "answer.grade.exact": (
        "照会した項目はすべて登録と一致しています。",
        "Every field asked is the same as in the register.",
    ),
    "answer.grade.variant": (
        "登録と異なる文字があります。印の付いた文字を申請書と見比べ、同じ人か確かめてください。",
        "Some characters differ. Compare the marked ones with the application: is it the same person?",
    ),
    "answer.grade.none": (
        "照会した内容に当てはまる人は登録されていません。手数料はかかりません。",
        "Nobody in the register fits what was asked. Nothing is charged.",
    ),
    "answer.grade.ambiguous": (
        "当てはまる人が複数いるため、情報は提供されません。手数料はかかりません。",
        "More than one person fits, so nothing is provided. Nothing is charged.",
    ),
    "answer.grade.refused": (
        "センターは照会に応じませんでした。手数料はかかりません。",
        "The centre did not answer the question. Nothing is charged.",
    ),
    "answer.erases": ("自動消去まで", "Erased by itself"),
    "answer.erased": ("表示時間が過ぎたため消去しました", "Erased: its time is over"),
    "answer.erased-remedy": (
        "必要なときは、もう一度照会してください。",
        "Ask again if it is needed.",
    ),
    "answer.other-differences": ("現在の登録以外で一致しました", "It fits something other than the present entry"),
    "answer.never-given": (
        "以前の氏名・住所そのものは提供されません。",
        "Former names and addresses themselves are not provided.",
    ),
    "answer.table": ("登録内容と照会内容の比較", "What is registered beside what was asked"),
    "answer.item": ("項目", "Item"),
    "answer.registered": ("登録", "Registered"),
    "answer.asked": ("照会", "Asked"),
    "answer.verdict": ("判定", "Result"),
    "answer.same": ("一致", "Same"),
    "answer.differs": ("相違", "Differs"),
    "answer.not-asked": ("照会していません", "Not asked"),
    "answer.nothing": ("（なし）", "(nothing)"),
    "answer.at": ("{position}文字目：", "Character {position}:"),
    "answer.more": ("ほか{count}か所", "and {count} more"),
    "answer.question": ("照会した内容", "What was asked"),
    "answer.next": ("次の照会", "Next inquiry"),
    "answer.print": ("帳票を印刷", "Print the form"),
    "answer.erase": ("今すぐ消去", "Erase now"),
    "answer.ask-approval": ("承認を申請する", "Request approval"),
    "answer.correct": ("入力を直して照会", "Correct and ask again"),
    "answer.record": ("照会の記録", "Record of the inquiry"),
    "answer.id": ("要求番号", "Request id"),
    "answer.time": ("日時", "Time"),
    "answer.fee": ("手数料", "Fee"),
    "answer.yen": ("{yen}円", "{yen} yen"),
    "answer.receipt": ("受領証", "Receipt"),
    "answer.receipt-kept": ("保存済み", "Kept"),
    "answer.receipt-none": ("なし", "None"),
    "answers.lead": (
        "この端末で表示でき、まだ消去していない回答です。ロックすると消去されます。",
        "Answers this session still holds. Locking the screen erases them.",
    ),
    "answers.none": ("表示できる回答はありません。", "There are no answers to show."),
    # Refusals
    "refused.reason": ("理由", "Reason"),
    "refused.field": ("該当する項目", "Field"),
    "refused.remedy": ("センターの説明", "What the centre says"),
    "refused.retry": ("再送できるまで", "Send again after"),
    "refused.seconds": ("{seconds}秒", "{seconds} s"),
    "refused.until": ("停止の解除：{at}", "Locked until {at}"),
    "refused.fast": (
        "認証アプリの時計が約{minutes}分進んでいます。",
        "The authenticator's clock is about {minutes} minutes fast.",
    ),
    "refused.slow": (
        "認証アプリの時計が約{minutes}分遅れています。",
        "The authenticator's clock is about {minutes} minutes slow.",
    ),
    "refused.code": ("エラー番号：", "Code:"),
    "refused.home": ("はじめの画面へ", "Back to the start"),
    # What to do
    "advice.title": ("次にすること", "What to do"),
    "advice.terminal": (
        "この端末での作業をやめ、別の端末を使ってください。\n"
        "端末の番号を添えて、端末の管理者に連絡してください。\n"
        "紛失の届出がある端末は、見つけた人が管理者に届けてください。",
        "Stop working on this terminal and use another.\n"
        "Tell the terminals' manager its number.\n"
        "Whoever finds a terminal reported lost takes it to the manager.",
    ),
    "advice.terminal-expired": (
        "端末の日付と時刻が正しいか確かめてください。\n"
        "正しい場合は、端末の管理者に新しい端末証明書の発行を依頼してください。",
        "Check that the terminal's date and time are right.\n"
        "If they are, ask the terminals' manager for a new certificate.",
    ),
    "advice.user-locked": (
        "表示された時刻まで待つか、利用者の管理者に解除を依頼してください。\n"
        "自分で誤って入力した覚えがないときは、すぐに管理者へ連絡してください。",
        "Wait until the time shown, or ask the users' manager to unlock you.\n"
        "If the wrong PINs were not yours, tell the manager at once.",
    ),
    "advice.clock-off": (
        "認証アプリの入った機器の日付と時刻を「自動設定」にしてください。\n"
        "時刻が合ったことを確かめ、最初からサインインしてください。\n"
        "続くときは、サーバの時計の確認を管理者に依頼してください。",
        "Set the date and time of the authenticator's device to automatic.\n"
        "When the time is right, begin the sign-in again.\n"
        "If it goes on, ask the manager to check the server's clock.",
    ),
    "advice.line-down": (
        "しばらく待ってから、もう一度やり直してください。\n続くときは、管理者に回線の状態の確認を依頼してください。",
        "Wait a little and try again.\nIf it goes on, ask the manager to check the line.",
    ),
    "advice.none": (
        "氏名と住所に打ち間違いがないか、申請書と見比べてください。\n"
        "旧字・異体字は、別の字体でも照会してみてください。\n"
        "最近転居した人は、前の住所で照会してみてください。\n"
        "分からないときは、申請者に住民票の写しの提出を求めてください。",
        "Compare name and address with the application for slips.\n"
        "Try other forms of old or variant characters.\n"
        "For someone who moved lately, try the address before.\n"
        "If that does not help, ask the applicant for a copy of the resident record.",
    ),
    "advice.ambiguous": (
        "生年月日と性別を加えて照会してください。\n"
        "住所を番地・号・建物名まで入力してください。\n"
        "それでも特定できないときは、住民票コードで照会してください。",
        "Add the date of birth and the sex.\n"
        "Enter the address down to number, building and room.\n"
        "If that is not enough, ask by the resident record code.",
    ),
    "advice.field": (
        "該当する項目を申請書と見比べてください。\n「入力を直して照会」から直してください。",
        "Compare the field named with the application.\nCorrect it with “Correct and ask again”.",
    ),
    "advice.case": (
        "案件番号を確かめ、「次の照会」の上部の「事務・案件を変更」から直してください。",
        "Check the case reference, and correct it under “Change affair or case”.",
    ),
    "advice.right": (
        "選んだ事務と段階が正しいか確かめてください。\n権限や協定については、管理者に確認してください。",
        "Check that the affair and step chosen are right.\nAsk the manager about rights and the agreement.",
    ),
    "advice.hours": (
        "提供時間内にもう一度照会してください。\n急ぐ場合は、申請者に住民票の写しの提出を求めてください。",
        "Ask again within the hours of provision.\nIf it cannot wait, ask for a copy of the resident record.",
    ),
    "advice.suspended": (
        "画面の「センターからのお知らせ」を確かめてください。\n再開の通知があってから照会してください。\n急ぐ場合は管理者に連絡してください。",
        "Read the notices from the centre.\nAsk again after provision has been resumed.\n"
        "If it cannot wait, tell the manager.",
    ),
    "advice.volume": (
        "「承認を申請する」を押し、件数が多い理由を書いてください。\n"
        "承認権限を持つ別の利用者が、自分の端末で承認します。\n"
        "承認されたら「承認」の画面から照会してください。",
        "Press “Request approval” and say why so many are needed.\n"
        "Another user who may approve decides on a terminal of their own.\n"
        "When it is approved, ask from the page “Approvals”.",
    ),
    "advice.approval": (
        "承認の期限と内容を「承認」の画面で確かめてください。\n必要なときは、もう一度承認を申請してください。",
        "Check the approval's time and content on the page “Approvals”.\nRequest approval again if it is needed.",
    ),
    "advice.later": (
        "少し待ってから、同じ内容でもう一度照会してください。二重に課金されることはありません。\n"
        "続くときは管理者に連絡してください。",
        "Wait a little, then ask the same again; nothing is charged twice.\nTell the manager if it goes on.",
    ),
    "advice.clock": (
        "サーバの時計がずれている可能性があります。管理者に時計の確認を依頼してください。\n直るまで照会しないでください。",
        "The server's clock may be off by minutes. Ask the manager to check it.\nDo not ask again until it is right.",
    ),
    "advice.other": (
        "要求番号を控え、管理者に連絡してください。",
        "Note the request id and tell the manager.",
    ),
    # Approvals
    "approvals.lead": (
        "件数の上限を超える照会は、別の人の承認があって初めて行えます。自分の申請は承認できません。",
        "Beyond the volume limit a question needs another person's approval. Nobody approves their own.",
    ),
    "approvals.to-decide": ("承認を待っている申請", "Waiting for a decision"),
    "approvals.own": ("自分の申請", "My requests"),
    "approvals.nothing": ("承認を待っている申請はありません。", "Nothing is waiting."),
    "approvals.none": ("申請はありません。", "There are no requests."),
    "approvals.requested": ("申請日時", "Requested"),
    "approvals.requester": ("申請者", "Requested by"),
    "approvals.reason": ("申請の理由", "Reason"),
    "approvals.count": ("件数", "Count"),
    "approvals.state": ("状態", "State"),
    "approvals.expires": ("期限", "Expires"),
    "approval.title": ("承認申請", "Approval request"),
    "approval.request": ("承認を申請する", "Request approval"),
    "approval.request-lead": (
        "この照会に限って、別の人の承認を求めます。",
        "Another person is asked to approve this very question.",
    ),
    "approval.reason-hint": (
        "なぜ必要かを書いてください。住民の氏名や住所は書かないでください。",
        "Say why it is needed. Do not write names or addresses of residents.",
    ),
    "approval.send": ("申請を送る", "Send the request"),
    "approval.questions": ("照会する内容", "The questions"),
    "approval.decided": ("判断", "Decision"),
    "approval.wait": (
        "承認権限を持つ別の利用者の判断を待っています。",
        "Waiting for a decision by another user who may approve.",
    ),
    "approval.approve-lead": (
        "申請の理由と照会の内容を確かめてください。承認はこの照会に限り、1回だけ使えます。",
        "Check the reason and the questions. The approval holds for these questions alone, once.",
    ),
    "approval.approve": ("承認する", "Approve"),
    "approval.reject": ("却下する", "Reject"),
    "approval.note": ("却下の理由", "Why it is rejected"),
    "approval.ask": ("承認された照会を行う", "Ask what was approved"),
    "approval.back": ("承認の一覧へ", "Back to the approvals"),
    # Receipts, forms, history, users
    "receipts.lead": (
        "受領証は、いつ何を照会し、どの回答を受けたかの証拠です。センターの記録がなくても検証できます。",
        "A receipt proves what was asked and answered when, without the centre's records.",
    ),
    "receipts.none": ("受領証はありません。", "There are no receipts."),
    "receipts.save": ("保存", "Save"),
    "receipts.proof": ("証明を保存", "Save the proof"),
    "receipts.opening": ("内容付きで保存", "Save with its content"),
    "receipts.opening-note": (
        "「内容付き」のファイルには照会と回答が含まれます。事務が終わったら確実に消去してください。",
        "A file with its content holds the question and the answer. Erase it when the affair is done.",
    ),
    "receipts.final": ("確定", "Final"),
    "receipts.is-final": ("確定済み", "Final"),
    "receipts.not-final": ("確定前", "Not yet final"),
    "receipts.final-at": ("{at} の公表時点で確定", "Final in the checkpoint of {at}"),
    "receipts.verify": ("受領証を検証する", "Verify a receipt"),
    "receipts.file": ("受領証のファイル", "Receipt file"),
    "receipts.file-hint": ("このサーバの中だけで検証します。", "It is checked on this server alone."),
    "receipts.proved": ("受領証は正しいものです", "The receipt is genuine"),
    "receipts.centre": ("センター", "Centre"),
    "receipts.party": ("利用者／回線", "Party / line"),
    "receipts.block": ("台帳のブロック", "Block of the ledger"),
    "forms.lead": (
        "印刷した帳票の番号と行方を管理します。帳票の写しは保存していません。",
        "Every printed form has a number and an end. No copy of a form is kept.",
    ),
    "forms.none": ("印刷した帳票はありません。", "No form has been printed."),
    "forms.once": (
        "印刷画面は一度だけ表示されます。もう一部必要なときは、回答から新しい番号で印刷してください。",
        "A form is shown once. For another, print the answer again under a new number.",
    ),
    "forms.disposal": ("廃棄", "Disposal"),
    "forms.how": ("帳票 {number} の廃棄の方法", "How form {number} was disposed of"),
    "forms.record": ("廃棄を記録", "Record"),
    "sheet.view": ("帳票の印刷", "Print the form"),
    "sheet.lead": (
        "帳票 {number} を帳票管理簿に記録しました。この画面は一度だけ表示されます。",
        "Form {number} is in the register of forms. This page is shown once.",
    ),
    "sheet.print": ("印刷する", "Print"),
    "sheet.done": ("帳票管理簿へ", "To the register of forms"),
    "sheet.title": ("本人確認情報照会結果", "Answer to an inquiry"),
    "sheet.heading": ("本人確認情報 照会結果票", "Resident-identity information: answer to an inquiry"),
    "sheet.number": ("帳票番号", "Form"),
    "sheet.printed": ("印刷日時", "Printed"),
    "sheet.by": ("印刷者／端末", "Printed by / on"),
    "sheet.copies": ("部数", "Copies"),
    "sheet.checked": ("確認", "Checked"),
    "sheet.handled": ("取扱", "Handled"),
    "sheet.care": (
        "この帳票は帳票管理簿で管理します。事務の終了後は、裁断・溶解・焼却のいずれかで廃棄し、記録してください。",
        "This form is on the register of forms. When the affair is done, shred, dissolve or burn it, and record that.",
    ),
    "history.lead": (
        "この端末システムでの操作の記録です。住民の情報は含まれません。",
        "What was done here. It holds no data about residents.",
    ),
    "history.all": ("全員の操作履歴", "Everybody's history"),
    "history.event": ("操作", "Event"),
    "history.every": ("すべて", "All"),
    "history.narrow": ("絞り込む", "Narrow"),
    "history.detail": ("結果", "Result"),
    "history.my-number": ("個人番号あり", "With My Number"),
    "history.older": ("さらに前の記録", "Older"),
    "history.none": ("記録はありません。", "There are no records."),
    "users.lead": (
        "利用者の停止と解除を行います。登録と暗証番号の設定はサーバで行います。",
        "Lock and unlock users. Registration and PINs are set on the server.",
    ),
    "users.rights": ("権限", "Rights"),
    "users.period": ("利用期間", "Valid"),
    "users.trained": ("研修日", "Trained on"),
    "users.state": ("状態", "State"),
    "users.locked": ("停止中", "Locked"),
    "users.active": ("利用可", "Active"),
    "users.failures": ("失敗 {count}回", "{count} failures"),
    "users.lock": ("停止する", "Lock"),
    "users.unlock": ("解除する", "Unlock"),
    "right.inquire": ("照会", "Ask"),
    "right.approve": ("承認", "Approve"),
    "right.manage": ("管理", "Manage"),
    # What went wrong with a request itself: title, then remedy
    "error.403": (
        "この操作は受け付けられません\n画面を開き直してから、もう一度操作してください。",
        "This was not accepted\nOpen the page again and repeat what you did.",
    ),
    "error.404": (
        "ページがありません\nメニューから選び直してください。",
        "There is no such page\nChoose from the menu.",
    ),
    "error.405": (
        "この操作はできません\nはじめの画面からやり直してください。",
        "This cannot be done\nBegin again from the start.",
    ),
    "error.413": (
        "ファイルが大きすぎます\n受領証のファイル（256キロバイト以内）を選んでください。",
        "The file is too large\nChoose a receipt file of 256 kB at most.",
    ),
    "error.500": (
        "処理できませんでした\n少し待ってからやり直し、続くときは管理者に連絡してください。",
        "Something went wrong here\nTry again later, and tell the manager if it goes on.",
    ),
}


def say(key: str, lang: Language, **facts: object) -> str:
    """A sentence in a language with facts put in. Raises: KeyError for a key that is not in the catalogue."""
    text = TEXTS[key][LANGUAGES.index(lang)]
    return text.format(**facts) if facts else text
