using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>Reads the kernel verifier's log (level 1).</summary>
public static partial class KernelLog
{
    /// <summary>
    /// The kernel walks both ways of many comparisons that can go one way only: of a register with itself, of two pointers
    /// into the stack, of numbers that it does not know (quotients, and what follows from them). What it refuses on a path
    /// that no run can take it refuses for nothing.
    /// </summary>
    /// <param name="log">The whole log; its last path is the one that was refused.</param>
    /// <param name="facts">What is shown of the instructions here. The oracles hold it against runs.</param>
    /// <returns>True when the path that was refused took a jump that can't go that way, or passed what can't be reached.</returns>
    public static bool EndsOnImpossiblePath(string log, ImmutableArray<InstructionFacts> facts)
    {
        // Values as they were printed last, by frame and register. A path that begins in the middle prints all of its frame.
        var values = new Dictionary<string, string>();
        var impossible = false;
        // Paths that wait were left at a jump: whether its path was impossible already, and which way it must go.
        var leftAt = new Dictionary<int, (bool Impossible, Match Jump, Dictionary<string, string> Values)>();
        (int Slot, Match Jump)? open = null;
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
            if (Step().Match(line) is not { Success: true } step) continue;
            var slot = int.Parse(step.Groups["slot"].Value, CultureInfo.InvariantCulture);
            if (slot < facts.Length && !facts[slot].Reached) impossible = true;
            if (open is { } before && Taken(before.Jump, before.Slot, slot) is { } taken && !MayGo(before.Jump, before.Slot, taken, values)) impossible = true;
            open = null;
            Note(line, values);
            if (Comparison().Match(line) is not { Success: true } comparison) continue;
            open = (slot, comparison);
            leftAt[slot] = (impossible || leftAt.TryGetValue(slot, out var again) && again.Impossible, comparison, new(values));
        }
        return impossible;

        bool MayGo(Match jump, int slot, bool taken, Dictionary<string, string> known) =>
            (slot >= facts.Length || (taken ? facts[slot].MayJump : facts[slot].MayFallThrough)) && (Outcome(jump, known) is not { } outcome || outcome == taken);
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
            var (x, y) = (StackOffset(values.GetValueOrDefault("R" + a)), StackOffset(values.GetValueOrDefault("R" + b)));
            if (x is null || y is null || x.Value.Frame != y.Value.Frame) return null;
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

    private static (string Frame, int Offset)? StackOffset(string? value) =>
        value is not null && StackPointer().Match(value) is { Success: true } pointer
            ? (pointer.Groups["frame"].Value, pointer.Groups["offset"].Value is { Length: > 0 } offset ? int.Parse(offset, CultureInfo.InvariantCulture) : 0)
            : null;

    [GeneratedRegex(@"^(?<slot>\d+): \(")]
    private static partial Regex Step();

    [GeneratedRegex(@"^from (?<jump>\d+) to (?<target>\d+):")]
    private static partial Regex Resumes();

    [GeneratedRegex(@"^\d+: \(..\) if (?<w>[rw])(?<a>\d+) (?<op>[^ ]+) ([rw](?<b>\d+)|[^ ]+) goto pc(?<to>[-+]\d+)")]
    private static partial Regex Comparison();

    [GeneratedRegex(@"\b(?<name>R\d+)=(?<value>[^ ]+)")]
    private static partial Regex Register();

    [GeneratedRegex(@"^fp(\[(?<frame>\d+)\])?(?<offset>-?\d+)$")]
    private static partial Regex StackPointer();
}
