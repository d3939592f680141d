using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>
/// The kernel's verdicts beside ours. It brackets us: what it refuses for memory safety, as root, we must refuse; of what it
/// accepts we should accept most.
/// </summary>
public sealed class KernelBracket
{
    /// <summary>
    /// Why the kernel refuses what is safe here, by a part of its message: rules of its own, or limits of its analysis. Each
    /// one is explained in docs/testing.md.
    /// </summary>
    public static readonly (string Part, string Reason)[] Explained =
    [
        ("invalid variable-offset", "bounds: the kernel's ranges are wider"),
        ("invalid access to", "bounds: the kernel's ranges are wider"),
        ("unbounded memory access", "bounds: the kernel's ranges are wider"),
        ("is outside of the allowed memory range", "bounds: the kernel's ranges are wider"),
        ("pointer arithmetic with", "bounds: the kernel's ranges are wider"),
        ("makes pointer be out of bounds", "bounds: the kernel's ranges are wider"),
        ("unbounded min value", "bounds: the kernel's ranges are wider"),
        ("min value is negative", "bounds: the kernel's ranges are wider"),
        ("variable offset stack pointer cannot be passed", "atomic operations at a variable stack offset"),
        ("combined stack size", "512 bytes of stack for all frames together; here each frame has 512"),
        ("unreachable insn", "instructions that no jump leads to"),
        ("dereference of modified ctx ptr", "a context pointer with an offset"),
        ("modified ctx ptr", "a context pointer with an offset"),
        ("variable ctx access", "a variable offset in the context"),
        ("invalid bpf_context access", "an unaligned access of the context"),
        ("jumps is too complex", "the kernel's limit of pending branches"),
        ("BPF program is too large", "the kernel's step limit"),
        ("infinite loop detected", "a loop whose states repeat: here it is metered"),
        ("back-edge", "a loop in a form the kernel does not follow"),
        ("R2 !read_ok", "r2 holds the context's length here"),
        ("pointer comparison prohibited", "pointers into one object may be compared here"),
        ("jump out of range", "a jump over the end of a function"),
    ];

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

    /// <summary>Notes two verdicts.</summary>
    /// <returns>What is wrong: we accept what the kernel refuses, and nothing explains it. Else null.</returns>
    public string? Note(VerificationResult ours, int kernel, Func<string> log)
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
            var text = log();
            if (text.Contains("verifier bug", StringComparison.Ordinal))
            {
                // It found its own state inconsistent: no verdict.
                Count--;
                OursOnly--;
                KernelBugs++;
                return null;
            }
            if (KernelLog.EndsOnImpossiblePath(text, ours.Program!.Facts))
            {
                Add(_explained, "a path that no run takes: the kernel does not decide the jump");
                return null;
            }
            foreach (var (part, reason) in Explained)
            {
                if (!text.Contains(part, StringComparison.Ordinal)) continue;
                Add(_explained, reason);
                return null;
            }
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
            + $"of what the kernel accepts we accept {100.0 * Both / Math.Max(1, Both + KernelOnly):F2} %; {Runs} runs left the same; {KernelBugs} not counted, as the kernel's verifier reports a bug of its own");
        output.WriteLine("only we accept: " + string.Join(", ", _explained.Select(pair => $"{pair.Key}: {pair.Value}")));
        output.WriteLine("only the kernel accepts: " + string.Join(", ", _ours.OrderByDescending(pair => pair.Value).Select(pair => $"{pair.Key} {pair.Value}")));
    }

    private static void Add(SortedDictionary<string, long> counts, string key) => counts[key] = counts.GetValueOrDefault(key) + 1;
}
