using System.Diagnostics;
using System.Globalization;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>
/// Damaged assembler text: it is assembled, or refused with the line and a code; what is assembled prints as text that gives the same again.
/// </summary>
public static class TextFuzzer
{
    private static readonly string[] s_pieces =
    [
        "map_by_idx(", "map_by_fd(", "map_val(", "code_addr(", "var_addr(", ")", "(", "[", "]", "*(u64 *)", "*(s8 *)", "lock", "if", "goto", "gotol +", "may_goto", "call", "callx", "kfunc",
        "pc", "exit", "ll", "=", "+=", "s>>=", "s<", "&", "-", "+", ":", ",", "r10", "w11", "r15", "r16", "0x", "0xffffffffffffffff", "18446744073709551616", "2147483648", "-2147483649", "32768", "-32769",
        ".quad", "atomic_fetch_add((u64 *)", "xchg_64(", "cmpxchg_64(", "load_acquire(", "store_release(", "le16", "bswap64", "skb[", "name", "\ufeff", "\u2028", "\0", "é", ";", "//", "#", "\t", "1:",
    ];

    /// <summary>The verb.</summary>
    public static int Run(FuzzOptions options)
    {
        var clock = Stopwatch.StartNew();
        var files = options.Files.Count > 0 ? options.Files : ObjectFuzzer.CommittedObjects();
        var summary = Run([.. files.Select(File.ReadAllBytes)], options, clock);
        foreach (var failure in summary.Failures) Console.Error.WriteLine(failure);
        Console.WriteLine($"text: {summary.Cases} texts, seed {options.Seed}, {clock.Elapsed.TotalSeconds:f0} s: {summary.Loaded} assembled, {summary.Codes.Values.Sum()} refused, {summary.Failures.Count} failures");
        Console.WriteLine("codes: " + string.Join(' ', summary.Codes.Select(code => $"{code.Key}={code.Value}")));
        return summary.Failures.Count == 0 ? 0 : 1;
    }

    /// <summary>Runs cases on the programs of these objects.</summary>
    public static ObjectFuzzer.Summary Run(IReadOnlyList<byte[]> objects, FuzzOptions options, Stopwatch clock)
    {
        var summary = new ObjectFuzzer.Summary();
        var programs = new List<ProgramSpec>();
        // Some of the committed objects are there to be refused.
        foreach (var bytes in objects) ObjectFuzzer.Guard("", new ObjectFuzzer.Summary(), () => programs.AddRange(ObjectSpec.Load(bytes).Programs));
        var texts = programs.Where(program => program.Instructions.Length < 200)
            .Select(program => Disassembler.Format(program)).Distinct().ToArray();
        for (var number = options.First; number < options.First + options.Count && clock.Elapsed.TotalSeconds < options.Seconds; number++, summary.Cases++)
        {
            var random = FuzzRandom.ForCase(options.Seed, number);
            var text = Damage(random.Pick(texts), random);
            ObjectFuzzer.Guard($"text --seed {options.Seed} --first {number} --count 1", summary, () =>
            {
                var code = Assembler.Assemble(text);
                summary.Loaded++;
                var program = new ProgramSpec { Name = "text", Instructions = code };
                if (code.IsEmpty || !BytecodeChecker.TryCheck(program, out _, out _)) return;
                var again = Assembler.Assemble(Disassembler.Format(program));
                if (!again.SequenceEqual(code)) throw new InvalidOperationException("printed and assembled again, it is another program");
            });
        }
        return summary;
    }

    private static string Damage(string text, FuzzRandom random)
    {
        for (var edits = 1 + random.Below(4); edits > 0 && text.Length > 0; edits--)
        {
            var at = random.Below(text.Length + 1);
            text = random.Below(5) switch
            {
                0 => text.Remove(Math.Min(at, text.Length - 1), 1),
                1 => text.Insert(at, string.Concat(Enumerable.Repeat(random.Pick(s_pieces), random.OneIn(50) ? 20_000 : 1 + random.Below(2)))),
                2 => text.Insert(at, random.Next().ToString(CultureInfo.InvariantCulture)),
                3 => text.Insert(at, text.Substring(at, Math.Min(random.Below(40), text.Length - at))),
                _ => text.Insert(at, " " + random.Pick(s_pieces) + " "),
            };
        }
        return text;
    }
}
