//! The same in other languages and alphabets: to drop what one was told, to be somebody else, to show the prompt, to an assistant.
//!
//! Each pattern needs a verb in the form of a demand and its object, as the English ones do. Words are written here as
//! one writes them and are folded as the text is. Where there are no blanks between words there are no bounds of them,
//! and distances are in bytes: three for a sign.

use super::MarkKind::{self, Address, Exfiltration, Instruction, Leak, Role};

pub(super) const PATTERNS: [(&str, MarkKind); 24] = [
    // Drop what you were told.
    (
        r"(?:игнорируй(?:те)?|проигнорируй(?:те)?|забудь(?:те)?|отмени(?:те)?|не следуй(?:те)?|ігноруй(?:те)?|проігноруй(?:те)?)[^.\n]{0,90}(?:инструкци|указани|правила|правил |промпт|приказ|ограничени|інструкці|вказівк|обмежен)",
        Instruction,
    ),
    (
        r"(?:忽略|无视|無視|忘记|忘記|忘掉|抛弃|不要遵守|不要遵循|绕过)[^\n]{0,60}(?:指令|指示|提示词|提示詞|规则|規則|命令|限制|要求)",
        Instruction,
    ),
    (
        r"(?:指示|命令|ルール|プロンプト|制約|制限|インストラクション)[^\n]{0,60}(?:無視し|無視せ|忘れ|破棄し|従わな)",
        Instruction,
    ),
    (r"(?:지시|명령|규칙|프롬프트|지침|제한)[^\n]{0,40}(?:무시하|무시해|잊어|잊고|따르지)", Instruction),
    (r"(?:تجاهل|انس|تجاهلي|تجاوز)[^\n]{0,90}(?:التعليمات|تعليمات|الأوامر|أوامر|القواعد|القيود)", Instruction),
    (r"(?:התעלם|התעלמי|שכח)[^\n]{0,60}(?:ההוראות|הוראות|הכללים|ההנחיות)", Instruction),
    (r"(?:निर्देश|आदेश|नियम)[^\n]{0,120}(?:अनदेखा कर|नजरअंदाज कर|नज़रअंदाज़ कर|भूल जा)", Instruction),
    (r"(?:αγνόησε|αγνοήστε|ξέχασε|ξεχάστε)[^.\n]{0,90}(?:οδηγίες|εντολές|κανόνες)", Instruction),
    (
        r"\b(?:talimat|kural|komut|yönerge|kısıtlama)[a-z]*\b[^.\n]{0,40}\b(?:yok ?say|unut|görmezden gel|dikkate alma|göz ardı et)",
        Instruction,
    ),
    (
        r"\b(?:zignoruj(?:cie)?|ignoruj(?:cie|te)?|pomiń|zapomnij(?:cie)?|zapomeň(?:te)?|bortse från|glöm|ignorer|glem|ohita|unohda|hagyd figyelmen kívül|felejtsd el)\b[^.\n]{0,60}\b(?:instruk[a-z]+|polecen[a-z]+|zasad[a-z]*|reguł[a-z]*|pokyn[a-z]*|pravidl[a-z]*|instruktion[a-z]*|regler[a-z]*|anvisning[a-z]*|ohje[a-z]*|säännö[a-z]*|utasítás[a-z]*|szabály[a-z]*)",
        Instruction,
    ),
    (
        r"\b(?:negeer|vergeet|bỏ qua|hãy quên|abaikan|lupakan|ignorați|ignoră|uită)\b[^.\n]{0,60}\b(?:instructies|aanwijzingen|regels|hướng dẫn|chỉ dẫn|lệnh|quy tắc|instruksi|perintah|petunjuk|aturan|instrucțiunile|regulile)\b",
        Instruction,
    ),
    (
        r"\b(?:ignora(?:te|d|r)?|ignorez|ignorieren?|ignoriert|vergiss|vergesst|olvida(?:d|te)?|olvide|oublie[rz]?|dimentica(?:te|re)?|esqueça|descarte|descarta|omite|omita|desconsidere)\b[^.\n]{0,24}\b(?:todo|alles|tout|tutto|tudo|ce)\b[^.\n]{0,24}\b(?:anterior|antes|dicho|bisherige|vorherige|oben|gesagt|précède|ci-dessus|avant|precedente|precede|detto|acima|dito)\b",
        Instruction,
    ),
    // Somebody else, from now on.
    (
        r"\b(?:a partir de ahora|de ahora en adelante|desde ahora|ab (?:jetzt|sofort)|von nun an|à partir de maintenant|dorénavant|désormais|d'ora in poi|da ora in poi|a partir de agora|de agora em diante)\b,? (?:(?:tú|tu|usted|du|sie|vous|você|antworte|responde|réponds|répondez|rispondi|responda|eres|bist|es|êtes|sei|será|serás|debes|musst|dois|devez|devi|deve)\b)",
        Role,
    ),
    (r"(?:теперь ты|ты теперь|отныне ты|с этого момента ты|тепер ти|відтепер ти)", Role),
    (r"(?:你现在是|你現在是|从现在起,?你|从现在开始,?你|從現在起,?你|現在你是)", Role),
    (r"(?:今から|これから|以後)[^\n]{0,12}(?:あなたは|君は|お前は)|あなたは今から", Role),
    (r"(?:이제부터|지금부터)[^\n]{0,8}(?:너는|당신은|넌)", Role),
    // The prompt.
    (
        r"(?:покажи|выведи|раскрой|напиши|повтори|сообщи|виведи)(?:те)?[^.\n]{0,60}(?:системн[^ ]{0,8} (?:промпт|сообщени|инструкци|підказк)|сво[^ ]{1,4} (?:инструкци|промпт))",
        Leak,
    ),
    (
        r"(?:显示|顯示|输出|輸出|告诉|告訴|透露|泄露|重复|打印|说出)[^\n]{0,45}(?:系统提示|系統提示|系统指令|提示词|初始指令|你的指令)|(?:システムプロンプト|初期指示)[^\n]{0,45}(?:表示|出力|教え|見せ|公開)|(?:시스템 ?프롬프트)[^\n]{0,30}(?:보여|출력|알려|공개)",
        Leak,
    ),
    (
        r"\b(?:muestra(?:me)?|muéstrame|revela(?:me)?|dime|imprime|repite|zeig(?:e)?|nenne|verrate?|gib|montre(?:-moi)?|affiche|révèle|répète|mostra(?:mi)?|stampa|mostre|revele|diga|pokaż|toon|göster)\b[^.\n]{0,50}\b(?:instrucciones|system-?prompt|systemanweisung(?:en)?|prompt (?:système|de sistema|do sistema|systemowy)|instructions (?:système|internes|initiales)|istruzioni (?:iniziali|di sistema|interne)|instruções|systeemprompt|sistem istemi)\b",
        Leak,
    ),
    // Data, and to send them: the verb has its object with it.
    (
        r"\b(?:envoie[sz]?-les|envoie[sz]?-le|envíalos|envíalas|mándalos|inviali|inviale|mandali|schicke sie|sende sie|envie-os)\b[^\n]{0,60}(?:@|\bextern|https?:)",
        Exfiltration,
    ),
    // To an assistant.
    (
        r"(?:ИИ|нейросеть|искусственный интеллект|ассистент|помощник|асистент)(?:-?(?:ассистент|помощник|агент))?\s?[,:!]\s?(?:пожалуйста|ты|вы|выполни|сделай|удали|отправь|игнорируй|забудь|напиши|покажи|перезапусти|будь ласка)",
        Address,
    ),
    (
        r"(?:ai|人工智能|智能)(?:助手|代理|模型|アシスタント|エージェント)[^\n]{0,6}(?:请|請|必须|必須|应该|應該|你|ください|してください|は次|어시스턴트)|(?:aiアシスタント|aiエージェント|アシスタント)[^\n]{0,60}(?:ください|しなさい|せよ)|ai ?(?:어시스턴트|에이전트|비서)[^\n]{0,60}(?:하세요|해라|하십시오|해 ?주세요)",
        Address,
    ),
    (
        r"\b(?:hola|oye|hallo|salut|bonjour|ciao|olá|estimado|liebe[rs]?|cher|cara|caro|nota para|hinweis für|an|note pour|nota per|nota para)\b,? (?:(?:el|la|den|die|das|le|l'|il|o|a|al|todos los|alle) ?)?(?:asistente|agente de ia|assistent(?:en|in)?|ki-?(?:agent(?:en)?|assistent(?:en)?|modelle?)|assistant ia|agent ia|assistente|agente ia|modelo de lenguaje|sprachmodell)\b",
        Address,
    ),
];
