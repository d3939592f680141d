using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Conformance.Tests;

/// <summary>One run of a case's program.</summary>
/// <param name="Memory">What r1 points to; r2 is its length.</param>
/// <param name="Result">What r0 must be at the end.</param>
/// <param name="After">What the memory must hold at the end, or null when it is not looked at.</param>
internal sealed record CaseRun(byte[] Memory, ulong Result, byte[]? After = null);

/// <summary>What must come of a case.</summary>
internal enum Outcome
{
    /// <summary>Every engine runs it with the expected results.</summary>
    Result,
    /// <summary>The verifier refuses it, so that the engines without checks never see it; the checked interpreter faults.</summary>
    Fault,
    /// <summary>The verifier refuses it, and the checked interpreter does not know what it names.</summary>
    Refused,
}

/// <summary>A program with what must come of it.</summary>
internal sealed record ConformanceCase
{
    public required string Name { get; init; }
    public required ImmutableArray<Instruction> Code { get; init; }
    public ImmutableArray<MapSpec> Maps { get; init; } = [];
    public Outcome Outcome { get; init; }
    /// <summary>The code of the checked interpreter's fault.</summary>
    public string? FaultCode { get; init; }
    public required ImmutableArray<CaseRun> Runs { get; init; }
    /// <summary>The packet that LD_ABS and LD_IND read: then the program is a socket filter and r1 its <c>__sk_buff</c>.</summary>
    public byte[]? Packet { get; init; }

    public ProgramSpec Spec => new() { Name = "case", Type = Packet is null ? ProgramTypes.Raw : ProgramTypes.Socket, Instructions = Code, Maps = Maps };

    /// <summary>The rows of the opcode table that its instructions are.</summary>
    public IEnumerable<OpcodeRow> Rows()
    {
        for (var slot = 0; slot < Code.Length; slot++)
        {
            // Some faults are about what is no instruction.
            if (OpcodeTable.Find(Code[slot]) is not { } row) continue;
            yield return row;
            slot += row.Slots - 1;
        }
    }

    public override string ToString() => Name;
}
