using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>Reads the kernel verifier's log (level 1).</summary>
internal static partial class KernelLog
{
    /// <summary>What the path that was refused is, seen from here.</summary>
    public enum Ending
    {
        /// <summary>Nothing tells it from one that a run takes, to an access that it makes.</summary>
        Possible,

        /// <summary>No run takes it.</summary>
        Impossible,

        /// <summary>A run may take it; but of what the refused instruction works on, the kernel knows less.</summary>
        Wider,

        /// <summary>A run may take it, and the access lies in its object; but the variable part of its offset may be negative, which the kernel, for which it is unsigned, takes for huge.</summary>
        NegativePart,
    }

    /// <summary>
    /// The kernel walks both ways of many comparisons that can go one way only: of a register with itself, of two pointers
    /// into the stack, of numbers that it does not know (quotients, and what follows from them). What it refuses on a path
    /// that no run can take it refuses for nothing.
    /// </summary>
    /// <param name="log">The whole log; its last path is the one that was refused.</param>
    /// <param name="facts">What is shown of the instructions here.</param>
    /// <param name="walked">
    /// The states that were walked here: where none of them has a number in common with the kernel's, in each register that it
    /// prints, no run comes by. Null to go by the facts alone. The oracles hold both against runs.
    /// </param>
    public static Ending EndOf(string log, ImmutableArray<InstructionFacts> facts, WalkedStates? walked = null)
    {
        // Values as they were printed last, of the frame at hand. A path that begins in the middle prints all of its frame.
        var values = new Dictionary<string, string>();
        var impossible = false;
        // Paths that wait were left at a jump: whether its path was impossible already, and which way it must go.
        var leftAt = new Dictionary<int, (bool Impossible, Match Jump, Dictionary<string, string> Values)>();
        (int Slot, Match Jump)? open = null;
        var last = -1;
        var before = values;
        foreach (var line in log.Split('\n'))
        {
            if (Resumes().Match(line) is { Success: true } from)
            {
                // "from J to T: …": the other way of jump J. A jump that is walked more than once waits more than once: either.
                var jump = int.Parse(from.Groups["jump"].Value, CultureInfo.InvariantCulture);
                var target = int.Parse(from.Groups["target"].Value, CultureInfo.InvariantCulture);
                impossible = leftAt.TryGetValue(jump, out var left)
                    && (left.Impossible || Taken(left.Jump, jump, target) is { } went && !MayGo(left.Jump, jump, went, left.Values));
                open = null;
                values.Clear();
                Note(line, values);
                continue;
            }
            if (OtherFrame().IsMatch(line)) values.Clear();
            if (Step().Match(line) is not { Success: true } step)
            {
                if (FrameState().IsMatch(line)) Note(line, values);
                continue;
            }
            var slot = int.Parse(step.Groups["slot"].Value, CultureInfo.InvariantCulture);
            if (slot < facts.Length && !facts[slot].Reached) impossible = true;
            if (open is { } jumped && Taken(jumped.Jump, jumped.Slot, slot) is { } taken && !MayGo(jumped.Jump, jumped.Slot, taken, values)) impossible = true;
            if (walked is { TooLong: false } && !walked.At(slot).Any(state => Meets(state, values))) impossible = true;
            open = null;
            last = slot;
            before = new(values);
            if (Call().IsMatch(line)) Forget(values);
            Note(line, values);
            if (Comparison().Match(line) is not { Success: true } comparison) continue;
            open = (slot, comparison);
            leftAt[slot] = (impossible || leftAt.TryGetValue(slot, out var again) && again.Impossible, comparison, new(values));
        }
        if (impossible) return Ending.Impossible;
        if (Unbounded().Match(log) is { Success: true } register && KernelValue.Parse(before.GetValueOrDefault(register.Groups["name"].Value, "")) is { Pointer: not null, Variable.SMin: < 0 })
            return Ending.NegativePart;
        if (walked is not { TooLong: false } || last < 0) return Ending.Possible;
        // What the instruction works on, and what the last words name.
        var named = Named().Matches(log[log.LastIndexOf($"\n{last}: (", StringComparison.Ordinal)..]).Select(name => $"R{name.Groups["register"].Value}").ToHashSet();
        var concerned = before.Where(pair => named.Contains(pair.Key)).ToDictionary();
        return walked.At(last).Where(state => Meets(state, before)).All(state => IsWider(state, concerned)) ? Ending.Wider : Ending.Possible;

        bool MayGo(Match jump, int slot, bool taken, Dictionary<string, string> known) =>
            (slot >= facts.Length || (taken ? facts[slot].MayJump : facts[slot].MayFallThrough)) && (Outcome(jump, known) is not { } outcome || outcome == taken);
    }

    /// <summary>The instructions that a walk passed.</summary>
    public static HashSet<int> Walked(string log) =>
        [.. Steps().Matches(log).Select(step => int.Parse(step.Groups["slot"].Value, CultureInfo.InvariantCulture))];

    private static bool Meets(MachineState ours, Dictionary<string, string> theirs) => !Registers(ours, theirs).Any(pair => !pair.Theirs.Meets(pair.Ours, ours.Depth - 1));

    private static bool IsWider(MachineState ours, Dictionary<string, string> theirs) => Registers(ours, theirs).Any(pair => pair.Theirs.IsWiderThan(pair.Ours, ours.Depth - 1));

    private static IEnumerable<(Value Ours, KernelValue Theirs)> Registers(MachineState ours, Dictionary<string, string> theirs)
    {
        foreach (var (name, text) in theirs)
        {
            if (KernelValue.Parse(text) is { } their && ours.Register(int.Parse(name.AsSpan(1), CultureInfo.InvariantCulture)) is { } our) yield return (our, their);
        }
    }

    // A call leaves r0, which it prints, and nothing in r1 to r5.
    private static void Forget(Dictionary<string, string> values)
    {
        for (var register = 0; register <= 5; register++) values.Remove($"R{register}");
    }

    private static void Note(string line, Dictionary<string, string> values)
    {
        foreach (Match value in Register().Matches(line)) values[value.Groups["name"].Value] = value.Groups["value"].Value;
    }

    private static bool? Taken(Match jump, int slot, int next)
    {
        var target = slot + 1 + int.Parse(jump.Groups["to"].Value, CultureInfo.InvariantCulture);
        return target == slot + 1 ? null : next == target ? true : next == slot + 1 ? false : null;
    }

    // How the comparison must go, where its operands tell.
    private static bool? Outcome(Match jump, Dictionary<string, string> values)
    {
        var (a, b, operation) = (jump.Groups["a"].Value, jump.Groups["b"].Value, jump.Groups["op"].Value);
        if (b.Length == 0) return null;
        if (jump.Groups["w"].Value == "r" && a != b)
        {
            var (x, y) = (Position(values.GetValueOrDefault("R" + a)), Position(values.GetValueOrDefault("R" + b)));
            if (x is null || y is null || x.Value.Base != y.Value.Base) return null;
            return operation switch
            {
                "==" => x.Value.Offset == y.Value.Offset,
                "!=" => x.Value.Offset != y.Value.Offset,
                ">" => x.Value.Offset > y.Value.Offset,
                ">=" => x.Value.Offset >= y.Value.Offset,
                "<" => x.Value.Offset < y.Value.Offset,
                "<=" => x.Value.Offset <= y.Value.Offset,
                _ => null,
            };
        }
        if (a != b) return null;
        return operation switch { "==" or ">=" or "<=" or "s>=" or "s<=" => true, "&" => null, _ => false };
    }

    // Where a pointer into the stack or into the packet points: so far from what others point to as well.
    private static (string Base, int Offset)? Position(string? value)
    {
        if (value is null) return null;
        if (StackPointer().Match(value) is { Success: true } stack) return ("fp" + stack.Groups["frame"].Value, Offset(stack));
        // One id, one variable part.
        return DataPointer().Match(value) is { Success: true } data ? ("pkt" + data.Groups["id"].Value, Offset(data)) : null;

        static int Offset(Match pointer)
        {
            var text = pointer.Groups["offset"].Value;
            return text.Length == 0 ? 0 : text.StartsWith("0x", StringComparison.Ordinal) ? int.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture) : int.Parse(text, CultureInfo.InvariantCulture);
        }
    }

    [GeneratedRegex(@"^(?<slot>\d+): \(")]
    private static partial Regex Step();

    [GeneratedRegex(@"^(?<slot>\d+): \(", RegexOptions.Multiline)]
    private static partial Regex Steps();

    [GeneratedRegex(@"^from (?<jump>\d+) to (?<target>\d+):")]
    private static partial Regex Resumes();

    [GeneratedRegex(@"^\d+: \(..\) if (?<w>[rw])(?<a>\d+) (?<op>[^ ]+) ([rw](?<b>\d+)|[^ ]+) goto pc(?<to>[-+]\d+)")]
    private static partial Regex Comparison();

    [GeneratedRegex(@"^\d+: \(85\) call ")]
    private static partial Regex Call();

    [GeneratedRegex(@"\b[Rrw](?<register>\d)\b")]
    private static partial Regex Named();

    [GeneratedRegex(@"^(?<name>R\d+) (unbounded memory access|min value is negative)", RegexOptions.Multiline)]
    private static partial Regex Unbounded();

    [GeneratedRegex(@"^(caller|callee|returning from callee|to caller at \d+):")]
    private static partial Regex OtherFrame();

    [GeneratedRegex(@"^ (frame\d+: )?R\d+=")]
    private static partial Regex FrameState();

    [GeneratedRegex(@"\b(?<name>R\d+)=(?<value>[^ (]+(\(([^()]|\([^()]*\))*\))?)")]
    private static partial Regex Register();

    [GeneratedRegex(@"^fp(\[(?<frame>\d+)\])?(?<offset>-?\d+)$")]
    private static partial Regex StackPointer();

    [GeneratedRegex(@"^pkt\((id=(?<id>\d+),)?(off=(?<offset>-?\d+|0x[0-9a-f]+),)?r=\d+")]
    private static partial Regex DataPointer();
}
