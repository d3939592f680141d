using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>
/// The kernel's verdicts beside ours. It brackets us: what it refuses for memory safety, as root, we must refuse; of what it
/// accepts we should accept most.
/// </summary>
public sealed class KernelBracket
{
    // Why the kernel refuses what is safe here, by a part of its last words; each one is explained in docs/testing.md. First
    // rules of its own, and limits of its analysis.
    private static readonly (string Part, string Reason)[] s_limits =
    [
        ("jumps is too complex", "the kernel's limit of pending branches"),
        ("BPF program is too large", "the kernel's step limit"),
        ("infinite loop detected", "a loop whose states repeat: here it is metered"),
        ("back-edge", "a loop in a form the kernel does not follow"),
        ("variable offset stack pointer cannot be passed", "atomic operations at a variable stack offset"),
        ("combined stack size", "512 bytes of stack for all frames together; here each frame has 512"),
        ("unreachable insn", "instructions that no jump leads to"),
        ("jump out of range", "a jump over the end of a function"),
        ("modified ctx ptr", "a context pointer with an offset"),
        ("variable ctx access", "a variable offset in the context"),
        ("invalid bpf_context access", "an unaligned access of the context"),
        ("subtraction from stack pointer", "a subtraction from a stack pointer: here its result is what counts"),
        ("pointer offset", FarOffset),
        ("pointer be out of bounds", FarOffset),
        ("div by zero", "a division by an immediate 0, which gives 0 here"),
        ("R2 !read_ok", "r2 holds the context's length here"),
        ("pointer comparison prohibited", "pointers into one object may be compared here"),
    ];

    // Then numbers that it knows less of, where its log shows that. What tells them from an access that we miss is then our own
    // walk, so programs that the kernel refuses run on more inputs, and the checked interpreter watches.
    private static readonly (string Part, string Reason)[] s_precision =
    [
        ("invalid variable-offset", Wider),
        ("unbounded variable-offset", Wider),
        ("invalid access to", Wider),
        ("invalid read from stack", Wider),
        ("invalid write to stack", Wider),
        ("At callback return", Wider),
        ("unbounded memory access", Wider),
        ("is outside of the allowed memory range", Wider),
        ("pointer arithmetic with", Wider),
        ("unbounded min value", Wider),
        ("min value is negative", Wider),
    ];

    private const string FarOffset = "an offset of 512 MiB or more: here it matters where it is used";
    private const string Wider = "bounds: the kernel's ranges are wider";

    private readonly SortedDictionary<string, long> _explained = [];
    private readonly SortedDictionary<string, long> _ours = [];

    /// <summary>Verdicts compared.</summary>
    public long Count { get; private set; }

    /// <summary>Accepted by both.</summary>
    public long Both { get; private set; }

    /// <summary>Refused by both.</summary>
    public long Neither { get; private set; }

    /// <summary>Accepted by the kernel and refused here.</summary>
    public long KernelOnly { get; private set; }

    /// <summary>Accepted here and refused by the kernel.</summary>
    public long OursOnly { get; private set; }

    /// <summary>Refusals in which the kernel's verifier reports a bug of its own; they are not among <see cref="Count"/>.</summary>
    public long KernelBugs { get; private set; }

    /// <summary>Runs that left the same in the kernel.</summary>
    public long Runs { get; set; }

    /// <summary>Runs that differed as they execute an instruction that the kernel's verifier never walked, and has taken away.</summary>
    public long WrongRuns { get; set; }

    /// <summary>Notes two verdicts.</summary>
    /// <param name="ours">Ours.</param>
    /// <param name="kernel">The kernel's: a descriptor, or -errno.</param>
    /// <param name="words">What it says.</param>
    /// <param name="walk">Gives its walk.</param>
    /// <param name="walked">Gives ours.</param>
    /// <returns>What is wrong: we accept what the kernel refuses, and nothing explains it. Else null.</returns>
    internal string? Note(VerificationResult ours, int kernel, string words, Func<string> walk, Func<WalkedStates> walked)
    {
        Count++;
        if (ours.Accepted && kernel >= 0) Both++;
        else if (!ours.Accepted && kernel < 0) Neither++;
        else if (kernel >= 0)
        {
            KernelOnly++;
            Add(_ours, ours.Rejection!.Code);
        }
        else
        {
            OursOnly++;
            if (words.Contains("verifier bug", StringComparison.Ordinal))
            {
                // It found its own state inconsistent: no verdict.
                Count--;
                OursOnly--;
                KernelBugs++;
                return null;
            }
            if (Explain(words, s_limits)) return null;
            var text = walk();
            var ending = KernelLog.EndOf(text, ours.Program!.Facts, walked());
            if (ending == KernelLog.Ending.Impossible)
            {
                Add(_explained, "a path that no run takes: the kernel does not decide the jump");
                return null;
            }
            if (ending == KernelLog.Ending.NegativePart)
            {
                Add(_explained, "a variable offset that may be negative, where the whole one is not");
                return null;
            }
            if (ending == KernelLog.Ending.Wider && Explain(words, s_precision)) return null;
            Add(_explained, "unexplained");
            return $"bracket: accepted here, refused by the kernel (errno {-kernel}): …{text[Math.Max(0, text.Length - 1500)..]}";
        }
        return null;
    }

    /// <summary>The figures.</summary>
    public void Print(TextWriter output)
    {
        if (Count == 0) return;
        output.WriteLine($"kernel: {Count} verdicts, both accept {Both}, both refuse {Neither}, only the kernel accepts {KernelOnly}, only we accept {OursOnly}; "
            + $"of what the kernel accepts we accept {100.0 * Both / Math.Max(1, Both + KernelOnly):F2} %; {Runs} runs left the same; {KernelBugs} not counted, as the kernel's verifier reports a bug of its own, and {WrongRuns} runs that differed as the kernel had taken away instructions that they execute");
        output.WriteLine("only we accept: " + string.Join(", ", _explained.Select(pair => $"{pair.Key}: {pair.Value}")));
        output.WriteLine("only the kernel accepts: " + string.Join(", ", _ours.OrderByDescending(pair => pair.Value).Select(pair => $"{pair.Key} {pair.Value}")));
    }

    private bool Explain(string words, (string Part, string Reason)[] reasons)
    {
        foreach (var (part, reason) in reasons)
        {
            if (!words.Contains(part, StringComparison.Ordinal)) continue;
            Add(_explained, reason);
            return true;
        }
        return false;
    }

    private static void Add(SortedDictionary<string, long> counts, string key) => counts[key] = counts.GetValueOrDefault(key) + 1;
}
