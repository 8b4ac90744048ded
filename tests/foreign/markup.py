"""Reading pages: sections, tables, blocks, and what is written for a shell."""

import re

CODE = re.compile(r"`([^`]+)`")


def sections(text, marks):
    """What stands under each heading of this level, in order."""
    parts = re.split(rf"^{marks} (.+)$", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def rows(text):
    """The rows of all tables, without heads and rulers."""
    table = []
    for line in text.splitlines() + [""]:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif table:
            yield from table[2:]
            table = []


def blocks(text):
    """Fenced blocks: language, the line before the fence, what is in it."""
    before, language, body = "", None, []
    for line in text.splitlines():
        if language is None and line.startswith("```"):
            language, body = line.removeprefix("```").strip(), []
        elif language is not None and line.rstrip() == "```":
            yield language, before.strip(), "\n".join(body)
            before, language = "", None
        elif language is not None:
            body.append(line)
        else:
            before = line


def commands(text):
    """Command lines and flags in code: within a line, and in blocks that are for a shell."""
    fenced = [body for language, _, body in blocks(text) if language in ("", "console", "sh")]
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    indented = "\n".join(line[4:] for line in plain.splitlines() if line.startswith("    "))
    for line in "\n".join([*fenced, indented]).replace("\\\n", " ").splitlines() + CODE.findall(plain):
        words = line.strip().removeprefix("$ ").split()
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words:
            yield words
