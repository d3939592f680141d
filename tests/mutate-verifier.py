#!/usr/bin/env python3
"""Removes one part of one condition, or one call, of the verifier at a time, and tells which tests notice.

    tests/mutate-verifier.py [--work DIR] [--fuzz COUNT] [--list]

A copy of the repository is made in DIR, in which every mutant is a switch: `a && b` becomes `(Mutant.Is(7) || a) && b`, `a || b`
becomes `(!Mutant.Is(8) && a) || b`, and a call that checks or forgets something is skipped by `if (!Mutant.Is(9))`. The copy
is built once. Then the programs of the tests' tables (Cases, Attacks …) are verified with each mutant, and those whose
verdicts are all the same are given COUNT random programs (default 2000) by the oracles of tests/UringBpf.Fuzz. What is left was either
looked at before, and is in tests/mutants.tsv with the reason why no verdict can change, or it is printed: a test is missing. The exit
code is 1 then.

tests/mutants.tsv has one mutant a line: file, what was left out, the line of source, a class, why. The classes:
    same   another check gives the same verdict, or the part can't be false where it stands
    cost   less is known or compared: more is walked or refused, and nothing more is accepted
    text   a message, the log or the explanation of a rejection
"""
import argparse, os, re, shutil, subprocess, sys

FILES = ["Walk/Walker.Arguments.cs", "Walk/Walker.Arithmetic.cs", "Walk/Walker.Calls.cs", "Walk/Walker.Callbacks.cs", "Walk/Walker.Jumps.cs",
         "Walk/Walker.Memory.cs", "Walk/Walker.Resources.cs", "Walk/Walker.Stack.cs", "Walk/Walker.cs", "Walk/Walker.Loops.cs", "Walk/Counter.cs",
         "Walk/TerminationProof.cs", "Walk/Session.cs", "State/Inclusion.cs", "State/Generalisation.cs", "State/StackSlot.cs", "State/Value.cs",
         "State/MachineState.cs", "Structure/Liveness.cs", "Structure/StackPointers.cs", "Structure/ProgramShape.cs"]
CALLS = re.compile(r"^(\s+)((?:Require\w+|Proves|Forget\w*|DropIterator|MayWriteBytes|FillBytes|WriteBytes|ReleaseRecord|ApplyLock|CheckTailCall|CheckNullSize|BecomesNull|BecomesPointer)\(.*\);)\s*$")
# Operands that declare a variable can't be skipped: what follows needs it.
DECLARES = re.compile(r"\bout var\b|\bis (?:not )?(?:\{.*\}|\w+(?: or \w+)*) [a-z]\w*\b(?<! or)(?<! and)|\bis (?:not )?var\b")


def match(text, at):
    """The index after the bracket that closes the one at `at`."""
    depth, i, quote = 0, at, None
    while i < len(text):
        c = text[i]
        if quote:
            if c == "\\": i += 1
            elif c == quote: quote = None
        elif c in "\"'": quote = c
        elif c in "([{": depth += 1
        elif c in ")]}":
            depth -= 1
            if depth == 0: return i + 1
        i += 1
    return -1


def operands(text):
    """(start, end, operator) of the parts of the outermost && and || of an expression, and of those in brackets in it."""
    parts, i, quote, depth, start = [], 0, None, 0, 0
    splits = []
    while i < len(text):
        c = text[i]
        if quote:
            if c == "\\": i += 1
            elif c == quote: quote = None
        elif c in "\"'": quote = c
        elif c in "([{": depth += 1
        elif c in ")]}": depth -= 1
        elif depth == 0 and text[i:i + 2] in ("&&", "||"):
            splits.append((i, text[i:i + 2]))
            i += 1
        elif depth == 0 and c == "?" and text[i + 1:i + 2] not in (".", "?", "[") and text[i - 1:i] == " ":
            return []  # a conditional expression: left alone
        i += 1
    if not splits: return []
    # && binds tighter: split at || first, then each part at &&.
    edges = [-2] + [at for at, op in splits if op == "||"] + [len(text)]
    for left, right in zip(edges, edges[1:]):
        low, high = left + 2, right
        if len(edges) > 2: parts.append((low, high, "||"))
        inner = [at for at, op in splits if op == "&&" and low <= at < high]
        if inner:
            ends = [low - 2] + inner + [high]
            parts += [(a + 2, b, "&&") for a, b in zip(ends, ends[1:])]
    return parts


def mutate(source, name, mutants):
    """The source with its mutants as switches; lines stay where they are."""
    lines = source.split("\n")
    edits = []  # (position, text)
    offsets = [0]
    for line in lines: offsets.append(offsets[-1] + len(line) + 1)

    def line_of(position):
        low = 0
        for i, offset in enumerate(offsets):
            if offset > position: return i
        return len(lines)

    # Statements to skip.
    for i, line in enumerate(lines):
        found = CALLS.match(line)
        if found and not lines[i - 1].rstrip().endswith("=>") and not lines[i - 1].strip().startswith(("if", "else", "for", "while", "foreach")):
            mutants.append((name, i + 1, "call skipped: " + found.group(2)))
            edits.append((offsets[i] + len(found.group(1)), f"if (!Mutant.Is({len(mutants)})) "))
    # Conditions.
    for found in re.finditer(r"\b(if|while) \(|\breturn (?=[^;{]*(?:&&|\|\|))", source):
        if source[source.rfind("\n", 0, found.start()) + 1:found.start()].lstrip().startswith("//"): continue
        if found.group(1):
            start = found.end()
            end = match(source, found.end() - 1) - 1
        else:
            start = found.end()
            end = source.find(";", start)
        if end < start: continue
        text = source[start:end]
        if "//" in text or "switch" in text or "=>" in text: continue
        for low, high, op in operands(text):
            part = text[low:high]
            if DECLARES.search(part): continue
            low += len(part) - len(part.lstrip())
            high -= len(part) - len(part.rstrip())
            mutants.append((name, line_of(start + low), ("true" if op == "&&" else "false") + " for: " + " ".join(part.split())))
            number = len(mutants)
            edits.append((start + low, f"(Mutant.Is({number}) || (" if op == "&&" else f"(!Mutant.Is({number}) && ("))
            edits.append((start + high, "))"))
    for at, text in sorted(edits, key=lambda edit: edit[0], reverse=True): source = source[:at] + text + source[at:]
    return source


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=os.path.join(os.environ.get("TMPDIR", "/tmp"), "uringbpf-mutants"))
    parser.add_argument("--fuzz", type=int, default=2000)
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    arguments = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    copy = os.path.join(arguments.work, "copy")
    excluded = set()
    for attempt in range(8):
        shutil.rmtree(copy, ignore_errors=True) if attempt == 0 else None
        if attempt == 0:
            for path in subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=True).stdout.split("\n"):
                if not path or not os.path.isfile(os.path.join(root, path)): continue
                os.makedirs(os.path.dirname(os.path.join(copy, path)), exist_ok=True)
                shutil.copy2(os.path.join(root, path), os.path.join(copy, path))
            shutil.copy2(os.path.join(root, "tests/mutate-verifier.cs.txt"), os.path.join(copy, "tests/UringBpf.Verifier.Tests/MutantTests.cs"))
            with open(os.path.join(copy, "verifier/UringBpf.Verifier/Mutant.cs"), "w") as file:
                file.write("namespace UringBpf.Verifier;\n\ninternal static class Mutant\n{\n    private static readonly int s_process = int.Parse(System.Environment.GetEnvironmentVariable(\"MUTANT\") ?? \"0\", System.Globalization.CultureInfo.InvariantCulture);\n\n"
                           "    [System.ThreadStatic]\n    internal static int Number;\n\n    public static bool Is(int number) => Number == number || s_process == number;\n}\n")
        mutants = []
        for name in FILES:
            with open(os.path.join(root, "verifier/UringBpf.Verifier", name)) as file: source = file.read()
            mutated = mutate(source, name, mutants)
            for number in excluded:
                mutated = mutated.replace(f"Mutant.Is({number}) || ", "").replace(f"!Mutant.Is({number}) && ", "").replace(f"if (!Mutant.Is({number})) ", "")
            # Numbers that do not compile leave their brackets behind, which are harmless.
            with open(os.path.join(copy, "verifier/UringBpf.Verifier", name), "w") as file: file.write(mutated)
        if arguments.list:
            for number, (name, line, what) in enumerate(mutants, 1): print(f"{number}\t{name}:{line}\t{what}")
            return 0
        build = subprocess.run(["dotnet", "build", "tests/UringBpf.Verifier.Tests", "-c", "Release", "-v", "q", "-nologo", "-p:TreatWarningsAsErrors=false", "-p:RunAnalyzers=false", "-p:EnforceCodeStyleInBuild=false"],
                               cwd=copy, capture_output=True, text=True)
        if build.returncode == 0: break
        broken = {(found.group(1), int(found.group(2))) for found in re.finditer(r"/verifier/UringBpf\.Verifier/([\w/.]+)\((\d+),\d+\): error", build.stdout)}
        new = {number for number, (name, line, _) in enumerate(mutants, 1) if any(name == file and abs(line - at) <= 2 for file, at in broken)} - excluded
        if not new:
            print(build.stdout[-4000:])
            return 2
        excluded |= new
    else:
        print("the mutated copy does not build")
        return 2
    print(f"{len(mutants) - len(excluded)} mutants ({len(excluded)} more do not compile)", flush=True)
    alive = [number for number in range(1, len(mutants) + 1) if number not in excluded]
    with open(os.path.join(arguments.work, "mutants.txt"), "w") as file:
        for number in alive: file.write(f"{number}\n")
    run = subprocess.run(["tests/UringBpf.Verifier.Tests/bin/Release/net10.0/UringBpf.Verifier.Tests", "--filter-class", "*MutantTests*"], cwd=copy,
                         env={**os.environ, "MUTANTS": os.path.join(arguments.work, "mutants.txt"), "MUTANTS_OUT": os.path.join(arguments.work, "killed.txt")}, capture_output=True, text=True)
    if run.returncode != 0:
        print(run.stdout[-4000:])
        return 2
    killed = {}
    with open(os.path.join(arguments.work, "killed.txt")) as file:
        for line in file:
            number, by = line.rstrip("\n").split("\t")
            killed[int(number)] = by
    print(f"{len(killed)} change the verdict of a program of the tables", flush=True)
    survivors = [number for number in alive if number not in killed]
    if arguments.fuzz > 0 and survivors:
        subprocess.run(["dotnet", "build", "tests/UringBpf.Fuzz", "-c", "Release", "-v", "q", "-nologo", "-p:TreatWarningsAsErrors=false", "-p:RunAnalyzers=false", "-p:EnforceCodeStyleInBuild=false"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
        for number in list(survivors):
            try:
                oracle = subprocess.run(["dotnet", "tests/UringBpf.Fuzz/bin/Release/net10.0/UringBpf.Fuzz.dll", "oracles", "--count", str(arguments.fuzz), "--seed", "1"], cwd=copy,
                                        env={**os.environ, "MUTANT": str(number)}, capture_output=True, text=True, timeout=120)
                dead = oracle.returncode != 0
            except subprocess.TimeoutExpired:
                dead = True
            if dead:
                killed[number] = "oracles"
                survivors.remove(number)
        print(f"{sum(by == 'oracles' for by in killed.values())} more break an oracle on {arguments.fuzz} random programs", flush=True)
    known = {}
    with open(os.path.join(root, "tests/mutants.tsv")) as file:
        for line in file:
            if line.strip() and not line.startswith("#"): known[tuple(line.rstrip("\n").split("\t")[:3])] = line.rstrip("\n").split("\t")[3]
    texts = {name: open(os.path.join(root, "verifier/UringBpf.Verifier", name)).read().split("\n") for name in FILES}

    def key(number):
        name, line, what = mutants[number - 1]
        return name, what, texts[name][line - 1].strip()

    new = [number for number in survivors if key(number) not in known]
    classes = [known[key(number)] for number in survivors if key(number) in known]
    print(f"{len(classes)} change no verdict for a reason that is in tests/mutants.tsv ({', '.join(f'{classes.count(name)} {name}' for name in sorted(set(classes)))})")
    stale = set(known) - {key(number) for number in survivors}
    if stale: print(f"{len(stale)} lines of tests/mutants.tsv are of mutants that are noticed now, or gone")
    print(f"{len(new)} are noticed by nothing:")
    for number in new: print(f"  {number}\t" + "\t".join(key(number)))
    with open(os.path.join(arguments.work, "all.txt"), "w") as file:
        for number in alive:
            name, line, what = mutants[number - 1]
            file.write(f"{number}\t{name}:{line}\t{what}\t{killed.get(number, 'alive')}\n")
    return 1 if new else 0


sys.exit(main())
